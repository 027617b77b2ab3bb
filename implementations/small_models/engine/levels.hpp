// The levels that are compiled in, by name.
#pragma once

#include <string>

#include "dispatch.hpp"
#include "kernel.hpp"

#define DECLARE(name) \
    namespace small_models::name { extern const Level level; }
#ifdef HAS_LEVEL_avx512_bf16
DECLARE(avx512_bf16)
#endif
#ifdef HAS_LEVEL_avx512_vnni
DECLARE(avx512_vnni)
#endif
#ifdef HAS_LEVEL_avx512
DECLARE(avx512)
#endif
#ifdef HAS_LEVEL_avx2
DECLARE(avx2)
#endif
#ifdef HAS_LEVEL_neon
DECLARE(neon)
#endif
DECLARE(baseline)
#undef DECLARE

namespace small_models {

// "auto" is the fastest that can run here; null where the one asked for cannot.
inline const Level* level_named(const std::string& wanted) {
    const auto runnable = dispatch::levels();
    const std::string name = wanted == "auto" ? runnable.front() : wanted;
    bool can = false;
    for (const auto& level : runnable) can = can || level == name;
    for (const Level* level : {
#ifdef HAS_LEVEL_avx512_bf16
             &avx512_bf16::level,
#endif
#ifdef HAS_LEVEL_avx512_vnni
             &avx512_vnni::level,
#endif
#ifdef HAS_LEVEL_avx512
             &avx512::level,
#endif
#ifdef HAS_LEVEL_avx2
             &avx2::level,
#endif
#ifdef HAS_LEVEL_neon
             &neon::level,
#endif
             &baseline::level})
        if (can && name == level->name) return level;
    return nullptr;
}

}  // namespace small_models
