// What a decoder returns, and what both decoders need.
#pragma once

#include "kernel.hpp"

#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace dbn {

struct Entry {
    int64_t frame;  // of the chain's first state; negative if the chain is under way in frame 0
    int beat, tempo;
};

struct Decoded {
    std::vector<Entry> entries;  // latest first; empty if no path is possible
    double log_probability;
    const char* method;
};

inline int64_t chains(const Model& model) { return static_cast<int64_t>(model.beats) * model.tempi; }
inline int64_t chain(const Model& model, int beat, int tempo) { return static_cast<int64_t>(beat) * model.tempi + tempo; }
inline int64_t level_rows(const Model& model) { return (model.tempi + 1) / 2; }  // two tempi share a byte
inline int beat_before(const Model& model, int beat) { return (beat == 0 ? model.beats : beat) - 1; }

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
template <class Value>
using Buffer = std::unique_ptr<Value[], Free>;

// Memory for numbers that are written once. In huge pages as far as it fills them: else page faults take a quarter of the time.
template <class Value>
Buffer<Value> allocate(int64_t count) {
    constexpr size_t HUGE_PAGE = size_t{2} << 20;
    const size_t bytes = static_cast<size_t>(count) * sizeof(Value), whole = bytes / HUGE_PAGE * HUGE_PAGE;
    void* memory = whole > 0 ? std::aligned_alloc(HUGE_PAGE, (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE) : std::malloc(bytes);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (whole > 0) madvise(memory, whole, MADV_HUGEPAGE);  // a wish; without it all is slower, but right
#endif
    return Buffer<Value>(static_cast<Value*>(memory));
}

}  // namespace dbn
