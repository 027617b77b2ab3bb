// The tables of functions that a kernel has, one per dispatch level that it was compiled for, found by name.
//
// EACH_LEVEL(each, ...) is each(level, ...) for all of those levels, fastest first (kernel.cmake defines HAS_LEVEL_...).
#pragma once

#include <stdexcept>
#include <string>

#include "dispatch.hpp"

#ifdef HAS_LEVEL_avx512_bf16
#define LEVEL_AVX512_BF16(each, ...) each(avx512_bf16, __VA_ARGS__)
#else
#define LEVEL_AVX512_BF16(...)
#endif
#ifdef HAS_LEVEL_avx512_vnni
#define LEVEL_AVX512_VNNI(each, ...) each(avx512_vnni, __VA_ARGS__)
#else
#define LEVEL_AVX512_VNNI(...)
#endif
#ifdef HAS_LEVEL_avx512
#define LEVEL_AVX512(each, ...) each(avx512, __VA_ARGS__)
#else
#define LEVEL_AVX512(...)
#endif
#ifdef HAS_LEVEL_avx2
#define LEVEL_AVX2(each, ...) each(avx2, __VA_ARGS__)
#else
#define LEVEL_AVX2(...)
#endif
#ifdef HAS_LEVEL_neon
#define LEVEL_NEON(each, ...) each(neon, __VA_ARGS__)
#else
#define LEVEL_NEON(...)
#endif
#define EACH_LEVEL(each, ...)               \
    LEVEL_AVX512_BF16(each, __VA_ARGS__)    \
    LEVEL_AVX512_VNNI(each, __VA_ARGS__)    \
    LEVEL_AVX512(each, __VA_ARGS__)         \
    LEVEL_AVX2(each, __VA_ARGS__)           \
    LEVEL_NEON(each, __VA_ARGS__)           \
    each(baseline, __VA_ARGS__)

namespace dispatch {

template <class Table> struct Compiled {
    const char* level;
    const Table* table;
};

// That of the level asked for, or of the fastest. std::invalid_argument: it cannot run here, or is not compiled in.
template <class Table, size_t count> const Table& chosen(const Compiled<Table> (&compiled)[count], const std::string& wanted) {
    const std::string level = choose(wanted);
    for (const auto& one : compiled)
        if (level == one.level) return *one.table;
    throw std::invalid_argument("level: '" + level + "' is not compiled in");
}

}  // namespace dispatch

#define DECLARE_TABLE(level, Table, table) \
    namespace level { extern const Table table; }
#define COMPILED_TABLE(level, Table, table) {#level, &level::table},

// Defines `function(wanted)`: the `table`, a constant of type Table in the namespace of each level, of the level wanted ("auto": the fastest).
#define TABLE_BY_LEVEL(function, Table, table)                                                                    \
    EACH_LEVEL(DECLARE_TABLE, Table, table)                                                                       \
    inline const Table& function(const std::string& wanted) {                                                     \
        static const dispatch::Compiled<Table> compiled[] = {EACH_LEVEL(COMPILED_TABLE, Table, table)};           \
        return dispatch::chosen(compiled, wanted);                                                                \
    }
