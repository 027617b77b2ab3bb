// Vectors for the kernels. Lanes are consecutive frames.
//
// A kernel's source is compiled once per dispatch level. So nothing here or there may be an inline function with external linkage
// (std::max, std::vector): the linker would keep one copy of it, perhaps one for a processor that is not this one.
#pragma once

#include "kernel.hpp"
#include "width.hpp"

#include <cstring>
#include <limits>

namespace {

constexpr int WIDTH = LEVEL_BYTES;

template <class Value, int BYTES = WIDTH>
struct Simd {
    typedef Value Vector __attribute__((vector_size(BYTES)));
    static constexpr int LANES = BYTES / sizeof(Value);

    static Vector load(const Value* from) {
        Vector v;
        std::memcpy(&v, from, sizeof v);
        return v;
    }
    static void store(Value* to, Vector v) { std::memcpy(to, &v, sizeof v); }
};

using Double = Simd<double>;
using Vector = Double::Vector;
using Index = Simd<long long>::Vector;  // also what comparing two vectors gives: all bits set is true

constexpr int smaller(int a, int b) { return a < b ? a : b; }

}  // namespace
