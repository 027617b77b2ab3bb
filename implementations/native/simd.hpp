// One vector register of floats or doubles at the level this file is compiled for, and the few operations a compiler cannot be
// trusted to choose.
#pragma once

#include <cstdint>
#include <cstring>

#include "indices.hpp"
#include "width.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace LEVEL {

constexpr int kBytes = LEVEL_BYTES;
constexpr int kFrames = kBytes / 4;  // frames of a block: the float lanes of one register

typedef float VecF __attribute__((vector_size(kBytes)));
typedef double VecD __attribute__((vector_size(kBytes)));
typedef float HalfF __attribute__((vector_size(kBytes / 2)));
typedef int32_t VecI __attribute__((vector_size(kBytes)));
typedef uint32_t VecU __attribute__((vector_size(kBytes)));
template <int lanes> struct Shorts;  // a dependent vector_size is not a vector to GCC
template <> struct Shorts<4> { typedef int16_t type __attribute__((vector_size(8))); };
template <> struct Shorts<8> { typedef int16_t type __attribute__((vector_size(16))); };
template <> struct Shorts<16> { typedef int16_t type __attribute__((vector_size(32))); };
typedef float FourF __attribute__((vector_size(16)));

template <class T> struct VecOf;
template <> struct VecOf<float> { using type = VecF; };
template <> struct VecOf<double> { using type = VecD; };
template <class T> using Vec = typename VecOf<T>::type;

template <class V, class T> inline V load(const T* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
// Forces a value into a register: without it a load is folded into each of its uses, and loads are what these loops run out of first.
#if LEVEL_BYTES == 64
template <class V> inline V keep(V v) {
    asm("" : "+v"(v));
    return v;
}
#elif defined(__x86_64__)
template <class V> inline V keep(V v) {
    asm("" : "+x"(v));
    return v;
}
#else
template <class V> inline V keep(V v) { return v; }
#endif
// A second name for the same constants. AVX-512 broadcasts a scalar inside an arithmetic instruction for free, but a broadcast of its
// own costs a slot of the arithmetic pipes (measured on Zen 4), and that is what a compiler makes of a scalar it sees used twice.
template <class T> inline const T* again(const T* p) {
#if LEVEL_BYTES == 64
    asm("" : "+r"(p));
#endif
    return p;
}
template <class V, class T> inline void store(T* to, V v) { std::memcpy(to, &v, sizeof v); }
template <class V, class T> inline V same(T value) { return value - V{}; }

// a * b + c and c - a * b, rounded once where the level has it: the only places that fuse.
#if LEVEL_BYTES == 64
inline VecF fma(VecF a, VecF b, VecF c) { return _mm512_fmadd_ps(a, b, c); }
inline VecD fma(VecD a, VecD b, VecD c) { return _mm512_fmadd_pd(a, b, c); }
inline VecF fnma(VecF a, VecF b, VecF c) { return _mm512_fnmadd_ps(a, b, c); }
inline VecD fnma(VecD a, VecD b, VecD c) { return _mm512_fnmadd_pd(a, b, c); }
inline VecF root(VecF a) { return _mm512_sqrt_ps(a); }
#elif LEVEL_BYTES == 32
inline VecF fma(VecF a, VecF b, VecF c) { return _mm256_fmadd_ps(a, b, c); }
inline VecD fma(VecD a, VecD b, VecD c) { return _mm256_fmadd_pd(a, b, c); }
inline VecF fnma(VecF a, VecF b, VecF c) { return _mm256_fnmadd_ps(a, b, c); }
inline VecD fnma(VecD a, VecD b, VecD c) { return _mm256_fnmadd_pd(a, b, c); }
inline VecF root(VecF a) { return _mm256_sqrt_ps(a); }
#elif defined(__aarch64__)
inline VecF fma(VecF a, VecF b, VecF c) { return (VecF)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
inline VecD fma(VecD a, VecD b, VecD c) { return (VecD)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
inline VecF fnma(VecF a, VecF b, VecF c) { return (VecF)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
inline VecD fnma(VecD a, VecD b, VecD c) { return (VecD)vfmsq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
inline VecF root(VecF a) { return (VecF)vsqrtq_f32((float32x4_t)a); }
#else
template <class V> inline V fma(V a, V b, V c) { return a * b + c; }
template <class V> inline V fnma(V a, V b, V c) { return c - a * b; }
#if defined(__x86_64__)
inline VecF root(VecF a) { return _mm_sqrt_ps(a); }
#else
inline VecF root(VecF a) {
    for (int i = 0; i < kFrames; ++i) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
#endif
#endif

// The smaller and the larger of each pair of lanes; no NaN.
#if LEVEL_BYTES == 64
inline VecF least(VecF a, VecF b) { return _mm512_min_ps(a, b); }
inline VecF most(VecF a, VecF b) { return _mm512_max_ps(a, b); }
#elif LEVEL_BYTES == 32
inline VecF least(VecF a, VecF b) { return _mm256_min_ps(a, b); }
inline VecF most(VecF a, VecF b) { return _mm256_max_ps(a, b); }
#elif defined(__x86_64__)
inline VecF least(VecF a, VecF b) { return _mm_min_ps(a, b); }
inline VecF most(VecF a, VecF b) { return _mm_max_ps(a, b); }
#elif defined(__aarch64__)
inline VecF least(VecF a, VecF b) { return (VecF)vminq_f32((float32x4_t)a, (float32x4_t)b); }
inline VecF most(VecF a, VecF b) { return (VecF)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
#else
inline VecF least(VecF a, VecF b) { return a < b ? a : b; }
inline VecF most(VecF a, VecF b) { return a > b ? a : b; }
#endif

// Bit i is set where lane i of a comparison is true.
inline unsigned bits(VecI truth) {
#if LEVEL_BYTES == 64
    return _mm512_movepi32_mask((__m512i)truth);
#elif LEVEL_BYTES == 32
    return static_cast<unsigned>(_mm256_movemask_ps((__m256)truth));
#elif defined(__x86_64__)
    return static_cast<unsigned>(_mm_movemask_ps((__m128)truth));
#else
    unsigned set = 0;
    for (int i = 0; i < kFrames; ++i) set |= static_cast<unsigned>(truth[i] != 0) << i;
    return set;
#endif
}

inline VecF narrow(VecF a) { return a; }

// Shorts to floats, half a register of floats to doubles and back: __builtin_convertvector splits these in GCC 12.
#if LEVEL_BYTES == 64
inline HalfF root(HalfF a) { return (HalfF)_mm256_sqrt_ps((__m256)a); }
inline VecF widen(Shorts<16>::type a) { return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32((__m256i)a)); }
inline VecD widen(HalfF a) { return _mm512_cvtps_pd((__m256)a); }
inline HalfF narrow(VecD a) { return (HalfF)_mm512_cvtpd_ps(a); }
#elif LEVEL_BYTES == 32
inline HalfF root(HalfF a) { return (HalfF)_mm_sqrt_ps((__m128)a); }
inline VecF widen(Shorts<8>::type a) { return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32((__m128i)a)); }
inline VecD widen(HalfF a) { return _mm256_cvtps_pd((__m128)a); }
inline HalfF narrow(VecD a) { return (HalfF)_mm256_cvtpd_ps(a); }
#else
inline HalfF root(HalfF a) {
    for (int i = 0; i < kFrames / 2; ++i) a[i] = __builtin_sqrtf(a[i]);
    return a;
}
inline VecD widen(HalfF a) { return __builtin_convertvector(a, VecD); }
inline HalfF narrow(VecD a) { return __builtin_convertvector(a, HalfF); }
#endif

inline FourF widen(Shorts<4>::type a) { return __builtin_convertvector(a, FourF); }

// Lane i of half of two registers a and b, whose lanes count on from a's: with size 1 and 2, numbers and pairs of them taken in turn from
// the same 16 bytes of a and b; with size 4, every other block of 16 bytes, a's and then b's. Shuffles like these are the cheap ones.
template <int lanes, int size, int part> constexpr int picked(int i) {
    constexpr int half = lanes / 8 ? lanes / 8 : 1;  // blocks from each
    if (size == 4) return (i / 4 < half ? 0 : lanes) + (i / 4 % half * 2 + part) * 4 + i % 4;
    const int group = i % 4 / size;
    return (group % 2 ? lanes : 0) + i / 4 * 4 + part * 2 + group / 2 * size + i % size;
}

template <int size, int part, class V, int... I> inline V pick(V a, V b, Indices<I...>) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(a, b, picked<sizeof...(I), size, part>(I)...);
#else
    typedef int32_t Mask __attribute__((vector_size(sizeof(V))));
    return __builtin_shuffle(a, b, Mask{picked<sizeof...(I), size, part>(I)...});
#endif
}

template <int size, class V, int n> inline void exchange(V (&rows)[n], int distance) {
    const auto lanes = typename Upto<n>::type{};
    for (int i = 0; i < n; ++i)
        if (!(i & distance)) {
            const V a = rows[i], b = rows[i + distance];
            rows[i] = pick<size, 0>(a, b, lanes);
            rows[i + distance] = pick<size, 1>(a, b, lanes);
        }
}

// rows[i][j] <-> rows[j][i] of as many registers as they have lanes.
template <class V, int n> inline void transpose(V (&rows)[n]) {
    exchange<1>(rows, 1);
    exchange<2>(rows, 2);
    for (int i = 0; i < n; i += 4) {
        const V second = rows[i + 1];
        rows[i + 1] = rows[i + 2];
        rows[i + 2] = second;
    }
    if (n > 4) exchange<4>(rows, 4);
    if (n > 8) exchange<4>(rows, 8);
}

}  // namespace LEVEL
