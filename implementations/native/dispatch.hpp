// Which dispatch level this processor can run. The order is the order of preference.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <cpuid.h>
#endif

namespace dispatch {

// Levels that are both compiled in and runnable here, fastest first.
inline std::vector<std::string> levels() {
    std::vector<std::string> found;
#if defined(__x86_64__)
    __builtin_cpu_init();
    // __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
    unsigned a = 0, b = 0, features = 0, d = 0;
    const bool f16c = __get_cpuid(1, &a, &b, &features, &d) && features & bit_F16C;
    const bool avx2 = f16c && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    [[maybe_unused]] const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
#if defined(HAS_LEVEL_avx512_bf16)
    if (vnni && __builtin_cpu_supports("avx512bf16")) found.push_back("avx512_bf16");
#endif
#if defined(HAS_LEVEL_avx512_vnni)
    if (vnni) found.push_back("avx512_vnni");
#endif
    if (avx512) found.push_back("avx512");
    if (avx2) found.push_back("avx2");
#elif defined(__aarch64__)
    found.push_back("neon");
#endif
    found.push_back("baseline");
    return found;
}

// The level to run: the fastest, or the one asked for. Throws when that one cannot run here.
inline std::string choose(const std::string& wanted) {
    const auto available = levels();
    if (wanted.empty() || wanted == "auto") return available.front();
    for (const auto& level : available)
        if (level == wanted) return level;
    std::string known;
    for (const auto& level : available) known += (known.empty() ? "" : ", ") + level;
    throw std::invalid_argument("level: expected one of " + known + ", found '" + wanted + "'");
}

}  // namespace dispatch
