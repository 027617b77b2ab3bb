// One vector register of floats or doubles at the level this file is compiled for, and the few operations a compiler cannot be
// trusted to choose. The width must match the level: 64-byte vectors compiled for AVX2 are split, and many times slower.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace LEVEL {

#if defined(LEVEL_avx512)
constexpr int kBytes = 64;
#elif defined(LEVEL_avx2)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kFrames = kBytes / 4;  // frames of a block: the float lanes of one register

typedef float VecF __attribute__((vector_size(kBytes)));
typedef double VecD __attribute__((vector_size(kBytes)));
typedef float HalfF __attribute__((vector_size(kBytes / 2)));
typedef int32_t VecI __attribute__((vector_size(kBytes)));
typedef uint32_t VecU __attribute__((vector_size(kBytes)));
typedef int16_t HalfS __attribute__((vector_size(kBytes / 2)));

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
#if defined(LEVEL_avx512)
template <class V> inline V keep(V v) {
#ifdef NOKEEP
    return v;
#endif
    asm("" : "+v"(v));
    return v;
}
#elif defined(__x86_64__)
template <class V> inline V keep(V v) {
#ifdef NOKEEP
    return v;
#endif
    asm("" : "+x"(v));
    return v;
}
#else
template <class V> inline V keep(V v) { return v; }
#endif
// A second name for the same constants. AVX-512 broadcasts a scalar inside an arithmetic instruction for free, but a broadcast of its
// own costs a slot of the arithmetic pipes (measured on Zen 4), and that is what a compiler makes of a scalar it sees used twice.
template <class T> inline const T* again(const T* p) {
#if defined(LEVEL_avx512)
    asm("" : "+r"(p));
#endif
    return p;
}
template <class V, class T> inline void store(T* to, V v) { std::memcpy(to, &v, sizeof v); }
template <class V, class T> inline V same(T value) { return value - V{}; }

// a * b + c and c - a * b, rounded once where the level has it: the only places that fuse.
#if defined(LEVEL_avx512)
inline VecF fma(VecF a, VecF b, VecF c) { return _mm512_fmadd_ps(a, b, c); }
inline VecD fma(VecD a, VecD b, VecD c) { return _mm512_fmadd_pd(a, b, c); }
inline VecF fnma(VecF a, VecF b, VecF c) { return _mm512_fnmadd_ps(a, b, c); }
inline VecD fnma(VecD a, VecD b, VecD c) { return _mm512_fnmadd_pd(a, b, c); }
inline VecF root(VecF a) { return _mm512_sqrt_ps(a); }
#elif defined(LEVEL_avx2)
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

inline VecF narrow(VecF a) { return a; }

// Half a register of floats to doubles and back: __builtin_convertvector splits these in GCC 12.
#if defined(LEVEL_avx512)
inline HalfF root(HalfF a) { return (HalfF)_mm256_sqrt_ps((__m256)a); }
inline VecD widen(HalfF a) { return _mm512_cvtps_pd((__m256)a); }
inline HalfF narrow(VecD a) { return (HalfF)_mm512_cvtpd_ps(a); }
#elif defined(LEVEL_avx2)
inline HalfF root(HalfF a) { return (HalfF)_mm_sqrt_ps((__m128)a); }
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

// Interleaves the halves of two registers: the step from which a transposition is built.
template <int... I> struct Indices {};
template <int N, int... I> struct Upto : Upto<N - 1, N - 1, I...> {};
template <int... I> struct Upto<0, I...> { using type = Indices<I...>; };

#if defined(__clang__) || __GNUC__ >= 12
template <int... I> inline VecF low(VecF a, VecF b, Indices<I...>) { return __builtin_shufflevector(a, b, (I % 2 * kFrames + I / 2)...); }
template <int... I> inline VecF high(VecF a, VecF b, Indices<I...>) {
    return __builtin_shufflevector(a, b, (I % 2 * kFrames + kFrames / 2 + I / 2)...);
}
#else
template <int... I> inline VecF low(VecF a, VecF b, Indices<I...>) { return __builtin_shuffle(a, b, VecI{(I % 2 * kFrames + I / 2)...}); }
template <int... I> inline VecF high(VecF a, VecF b, Indices<I...>) {
    return __builtin_shuffle(a, b, VecI{(I % 2 * kFrames + kFrames / 2 + I / 2)...});
}
#endif

// rows[i][j] <-> rows[j][i]: log2(lanes) rounds of perfect shuffles.
inline void transpose(VecF (&rows)[kFrames]) {
    const auto lanes = typename Upto<kFrames>::type{};
    for (int round = 1; round < kFrames; round *= 2) {
        VecF next[kFrames];
        for (int i = 0; i < kFrames / 2; ++i) {
            next[2 * i] = low(rows[i], rows[i + kFrames / 2], lanes);
            next[2 * i + 1] = high(rows[i], rows[i + kFrames / 2], lanes);
        }
        for (int i = 0; i < kFrames; ++i) rows[i] = next[i];
    }
}

}  // namespace LEVEL
