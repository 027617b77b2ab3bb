// One vector register at the level this file is compiled for: floats, 32-bit integers, and pairs of 16-bit integers.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace LEVEL {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
constexpr int kMostRows = 12;  // of a product: 24 accumulators, and as many registers as remain for what enters
#elif defined(__AVX2__)
constexpr int kLanes = 8;
constexpr int kMostRows = 5;
#elif defined(__aarch64__)
constexpr int kLanes = 4;
constexpr int kMostRows = 12;
#else
constexpr int kLanes = 4;
constexpr int kMostRows = 5;
#endif

typedef float VecF __attribute__((vector_size(kLanes * 4)));
typedef int32_t VecI __attribute__((vector_size(kLanes * 4)));

template <class V> inline V load(const void* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
template <class V> inline void store(void* to, V v) { std::memcpy(to, &v, sizeof v); }
inline VecF same(float value) { return value - VecF{}; }

#if defined(__AVX512F__)
inline VecF most(VecF a, VecF b) { return (VecF)_mm512_max_ps((__m512)a, (__m512)b); }
inline VecF least(VecF a, VecF b) { return (VecF)_mm512_min_ps((__m512)a, (__m512)b); }
inline VecI rounded(VecF a) { return (VecI)_mm512_cvtps_epi32((__m512)a); }
#elif defined(__AVX2__)
inline VecF most(VecF a, VecF b) { return (VecF)_mm256_max_ps((__m256)a, (__m256)b); }
inline VecF least(VecF a, VecF b) { return (VecF)_mm256_min_ps((__m256)a, (__m256)b); }
inline VecI rounded(VecF a) { return (VecI)_mm256_cvtps_epi32((__m256)a); }
#elif defined(__x86_64__)
inline VecF most(VecF a, VecF b) { return (VecF)_mm_max_ps((__m128)a, (__m128)b); }
inline VecF least(VecF a, VecF b) { return (VecF)_mm_min_ps((__m128)a, (__m128)b); }
inline VecI rounded(VecF a) { return (VecI)_mm_cvtps_epi32((__m128)a); }
#else
inline VecF most(VecF a, VecF b) { return a > b ? a : b; }
inline VecF least(VecF a, VecF b) { return a < b ? a : b; }
inline VecI rounded(VecF a) {
    const VecF magic = same(12582912.0f);  // 1.5 * 2^23: adding it leaves no room for fractions
    return __builtin_convertvector((a + magic) - magic, VecI);
}
#endif

// What enters a product is one 32-bit unit of a row at a time, for all lanes alike: a float, or two 16-bit integers.
struct Float {
    using Sum = VecF;
    static constexpr int kChannels = 1;  // per unit
    static constexpr int kGroups = 64 / kLanes;  // of units, in one sum
    static Sum add(Sum sum, const uint32_t* unit, const void* weights) {
        float value;
        std::memcpy(&value, unit, 4);
        return sum + same(value) * load<VecF>(weights);
    }
    static VecF value(Sum sum) { return sum; }
};

struct Short {
    using Sum = VecI;
    static constexpr int kChannels = 2;
    static constexpr int kGroups = 0;  // all: integers do not round
    // sum + low * low + high * high: exact, where the bound of `Layer::limits` holds.
    static Sum add(Sum sum, const uint32_t* unit, const void* weights) {
        const VecI a = static_cast<int32_t>(*unit) - VecI{}, b = load<VecI>(weights);
#if defined(__AVX512VNNI__)
        return (VecI)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)b, (__m512i)a);
#elif defined(__AVX512BW__)
        return sum + (VecI)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
        return sum + (VecI)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
        return sum + (VecI)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
        return sum + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
    }
    static VecF value(Sum sum) { return __builtin_convertvector(sum, VecF); }
};

}  // namespace LEVEL
