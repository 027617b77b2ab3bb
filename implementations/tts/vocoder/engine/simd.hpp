// One vector register at the level this file is compiled for: floats, 32-bit integers, and pairs of 16-bit or fours of 8-bit integers.
#pragma once

#include <cstdint>
#include <cstring>

#include "indices.hpp"

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

inline VecF size_of(VecF a) { return (VecF)((VecI)a & 0x7fffffff); }

// The sum of neighbours in a, and behind them those in b.
template <int... I> inline VecF neighbours(VecF a, VecF b, Indices<I...>) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(a, b, (2 * I)...) + __builtin_shufflevector(a, b, (2 * I + 1)...);
#else
    return __builtin_shuffle(a, b, VecI{(2 * I)...}) + __builtin_shuffle(a, b, VecI{(2 * I + 1)...});
#endif
}

// In lane i the sum of all lanes of the i-th vector.
inline VecF each_sum(VecF (&vectors)[kLanes]) {
    for (int left = kLanes / 2; left; left /= 2)
        for (int i = 0; i < left; ++i) vectors[i] = neighbours(vectors[2 * i], vectors[2 * i + 1], typename Upto<kLanes>::type{});
    return vectors[0];
}

// What enters a product is one 32-bit unit of a row at a time, for all lanes alike: a float, two 16-bit integers, or four of 8 bits. units():
// a vector of them, from as many vectors of channels as a unit holds.
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
    static VecI units(const VecF (&values)[kChannels]) { return (VecI)values[0]; }
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
    static VecI units(const VecF (&values)[kChannels]) { return (rounded(values[0]) & 0xffff) | (rounded(values[1]) << 16); }
};

struct Byte {
    using Sum = VecI;
    static constexpr int kChannels = 4;
    static constexpr int kGroups = 0;
    static constexpr int kZero = 128;  // what stands for 0: the instruction takes bytes without a sign, times weights with one
    static Sum add(Sum sum, const uint32_t* unit, const void* weights) {
        const VecI a = static_cast<int32_t>(*unit) - VecI{}, b = load<VecI>(weights);
#if defined(__AVX512VNNI__)
        return (VecI)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#else
        return sum + (a & 0xff) * (b << 24 >> 24) + (a >> 8 & 0xff) * (b << 16 >> 24) + (a >> 16 & 0xff) * (b << 8 >> 24) + (a >> 24 & 0xff) * (b >> 24);
#endif
    }
    static VecF value(Sum sum) { return __builtin_convertvector(sum, VecF); }
    // What is beyond 8 bits becomes the last that they hold. In units of four neighbours, as the processors' own way to narrow leaves them.
    static VecI units(const VecF (&values)[kChannels]) {
        VecI a[kChannels];
        for (int i = 0; i < kChannels; ++i) a[i] = rounded(values[i] + same(kZero));
#if defined(__AVX512BW__)
        return (VecI)_mm512_packus_epi16(_mm512_packs_epi32((__m512i)a[0], (__m512i)a[1]), _mm512_packs_epi32((__m512i)a[2], (__m512i)a[3]));
#else
        VecI found;
        for (int quarter = 0; quarter < kLanes / 4; ++quarter)
            for (int i = 0; i < kChannels; ++i) {
                uint32_t unit = 0;
                for (int j = 0; j < 4; ++j) {
                    const int32_t value = a[i][4 * quarter + j];
                    unit |= static_cast<uint32_t>(value < 0 ? 0 : value > 255 ? 255 : value) << (8 * j);
                }
                found[4 * quarter + i] = static_cast<int32_t>(unit);
            }
        return found;
#endif
    }
};

}  // namespace LEVEL
