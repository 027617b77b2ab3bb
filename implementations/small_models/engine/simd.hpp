// One vector register of floats at the level this file is compiled for. FMA is used where the level has it: results are the same from
// run to run, and differ between levels by rounding.
#pragma once

#include <cstdint>
#include <cstring>

#include "width.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace small_models::LEVEL {

constexpr int kBytes = LEVEL_BYTES, kLanes = kBytes / 4;
#if LEVEL_BYTES == 64 || defined(__aarch64__)
constexpr int kPanel = 8;  // of 32 registers
#else
constexpr int kPanel = 4;  // of 16
#endif

typedef float F __attribute__((vector_size(kBytes)));
typedef int32_t I __attribute__((vector_size(kBytes)));

template <class V> inline V load(const void* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
template <class V> inline void store(void* to, V v) { std::memcpy(to, &v, sizeof v); }
inline F same(float value) { return value - F{}; }
// Forces a value into a register: without it a load is folded into each of its uses, and loads are what these loops run out of first.
template <class V> inline V keep(V v) {
#if LEVEL_BYTES == 64
    asm("" : "+v"(v));
#elif defined(__x86_64__)
    asm("" : "+x"(v));
#endif
    return v;
}
inline F pick(I mask, F yes, F no) { return (F)((mask & (I)yes) | (~mask & (I)no)); }

#if LEVEL_BYTES == 64
inline F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
inline F least(F a, F b) { return _mm512_min_ps(a, b); }  // of NaN in b: NaN
inline F most(F a, F b) { return _mm512_max_ps(a, b); }
inline I rounded(F a) { return (I)_mm512_cvtps_epi32(a); }
inline F to_float(I a) { return _mm512_cvtepi32_ps((__m512i)a); }
// a / b for finite a and ordinary b, to the last bit or the one before it: a third of the time of the instruction, which takes 16 cycles.
inline F quotient(F a, F b) {
    F inverse = _mm512_rcp14_ps(b);
    inverse = _mm512_fmadd_ps(inverse, _mm512_fnmadd_ps(b, inverse, same(1.0f)), inverse);
    const F first = a * inverse;
    return _mm512_fmadd_ps(inverse, _mm512_fnmadd_ps(b, first, a), first);
}
#elif LEVEL_BYTES == 32
inline F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
inline F least(F a, F b) { return _mm256_min_ps(a, b); }
inline F most(F a, F b) { return _mm256_max_ps(a, b); }
inline I rounded(F a) { return (I)_mm256_cvtps_epi32(a); }
inline F to_float(I a) { return _mm256_cvtepi32_ps((__m256i)a); }
#elif defined(__x86_64__)
inline F fma(F a, F b, F c) { return a * b + c; }
inline F least(F a, F b) { return _mm_min_ps(a, b); }
inline F most(F a, F b) { return _mm_max_ps(a, b); }
inline I rounded(F a) { return (I)_mm_cvtps_epi32(a); }
inline F to_float(I a) { return _mm_cvtepi32_ps((__m128i)a); }
#elif defined(__aarch64__)
inline F fma(F a, F b, F c) { return (F)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
inline F least(F a, F b) { return (F)vminq_f32((float32x4_t)a, (float32x4_t)b); }
inline F most(F a, F b) { return (F)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
inline I rounded(F a) { return (I)vcvtnq_s32_f32((float32x4_t)a); }
inline F to_float(I a) { return __builtin_convertvector(a, F); }
#else
inline F fma(F a, F b, F c) { return a * b + c; }
inline F least(F a, F b) { return pick(a < b, a, b); }
inline F most(F a, F b) { return pick(a > b, a, b); }
inline I rounded(F a) {
    I found;
    for (int i = 0; i < kLanes; ++i) found[i] = static_cast<int32_t>(__builtin_rintf(a[i]));
    return found;
}
inline F to_float(I a) { return __builtin_convertvector(a, F); }
#endif

#if LEVEL_BYTES != 64
inline F quotient(F a, F b) { return a / b; }
#endif

}  // namespace small_models::LEVEL
