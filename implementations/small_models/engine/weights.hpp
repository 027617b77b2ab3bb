// The weights of each precision: how a vector of them is loaded, and multiplied into the sums of its rows.
//
// A type gives: Word, the columns of a group of one input as they are staged; Taken, a vector of weights (lanes rows, a group of columns)
// in registers; Spread, a word in every lane, from memory, where a broadcast costs no arithmetic; Sum, the sums of `lanes` rows.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"

namespace small_models::LEVEL {

struct Float32 {
    static constexpr Precision precision = Precision::float32;
    using Word = float;
    using Taken = F;
    using Spread = F;
    using Sum = F;
    static Taken take(const uint8_t* weights) { return keep(load<F>(weights)); }
    static Spread spread(const uint8_t* word) { return keep(same(load<Word>(word))); }
    static Sum add(Taken w, Spread x, Sum sum) { return fma(w, x, sum); }
};

// Numbers of 24 bits move to the upper three bytes of a word, and from there to floats, exactly; the scale knows of the factor 256.
struct Int24 {
    static constexpr Precision precision = Precision::int24;
    using Word = float;
    using Taken = F;
    using Spread = F;
    using Sum = F;
    static Taken take(const uint8_t* weights) {
#if LEVEL_BYTES == 64
        const __m512i quarters = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11), _mm512_loadu_si512(weights));
        const __m512i places = _mm512_broadcast_i32x4(_mm_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11));
        return _mm512_cvtepi32_ps(_mm512_shuffle_epi8(quarters, places));
#elif LEVEL_BYTES == 32
        const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights))),
                                                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + 12)), 1);
        const __m256i places = _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11));
        return _mm256_cvtepi32_ps(_mm256_shuffle_epi8(both, places));
#else
        I words;
        for (int i = 0; i < kLanes; ++i) {
            uint32_t bits;
            std::memcpy(&bits, weights + 3 * i, 4);
            words[i] = static_cast<int32_t>(bits << 8);
        }
        return to_float(words);
#endif
    }
    static Spread spread(const uint8_t* word) { return keep(same(load<Word>(word))); }
    static Sum add(Taken w, Spread x, Sum sum) { return fma(w, x, sum); }
};

// Halves widen to floats exactly; the sums are those of float32.
struct Float16 {
    static constexpr Precision precision = Precision::float16;
    using Word = float;
    using Taken = F;
    using Spread = F;
    using Sum = F;
    static Taken take(const uint8_t* weights) {
#if LEVEL_BYTES == 64
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights)));
#elif LEVEL_BYTES == 32
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights)));
#elif defined(__aarch64__)
        return (F)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const uint16_t*>(weights))));
#else
        // Exponent and fraction move up as they are; the factor 2^112 corrects the bias of the exponent, denormals included.
        typedef uint16_t Short __attribute__((vector_size(8)));
        const I bits = __builtin_convertvector(load<Short>(weights), I);
        const F magnitude = (F)((bits & 0x7fff) << 13) * 5.192296858534828e+33f;
        return (F)((I)magnitude | ((bits & 0x8000) << 16));
#endif
    }
    static Spread spread(const uint8_t* word) { return keep(same(load<Word>(word))); }
    static Sum add(Taken w, Spread x, Sum sum) { return fma(w, x, sum); }
};

// A bfloat16 is the upper half of a float, and a word holds two: an even column below an odd one. The even one is shifted up; the odd one is
// the word as it is, for it was rounded so that with the bits below it is the nearest there is: to mask them costs more than to multiply.
struct BFloat16 {
    static constexpr Precision precision = Precision::bfloat16;
    using Word = float[2];
    struct Taken {
        F even, odd;
    };
    using Spread = Taken;
    using Sum = F;
    static Taken take(const uint8_t* weights) {
        const I both = keep(load<I>(weights));
        return {(F)(both << 16), (F)both};
    }
    static Spread spread(const uint8_t* word) { return {keep(same(load<float>(word))), keep(same(load<float>(word + sizeof(float))))}; }
    static Sum add(Taken w, Spread x, Sum sum) { return fma(w.odd, x.odd, fma(w.even, x.even, sum)); }
};

#if defined(LEVEL_avx512_vnni)
struct Int8 {
    static constexpr Precision precision = Precision::int8;
    using Word = int32_t;  // 4 unsigned bytes
    using Taken = __m512i;
    using Spread = __m512i;
    using Sum = I;
    static Taken take(const uint8_t* weights) { return keep(_mm512_loadu_si512(weights)); }
    static Spread spread(const uint8_t* word) { return keep(_mm512_set1_epi32(load<Word>(word))); }
    static Sum add(Taken w, Spread x, Sum sum) { return (I)_mm512_dpbusd_epi32((__m512i)sum, x, w); }
    static Sum plus(Sum a, Sum b) { return a + b; }
    static F total(Sum sum) { return to_float(sum); }
};
#else
// Without an instruction for bytes: products of 16 bits, in pairs of columns, each pair in a sum of 32 bits of its own. The sums are
// the same whole numbers.
struct Int8 {
    static constexpr Precision precision = Precision::int8;
    using Word = int64_t;  // 4 numbers of 16 bits
    typedef int16_t S __attribute__((vector_size(kBytes)));
    struct Taken {
        S low, high;
    };
    using Spread = S;
    struct Sum {
        I low, high;
    };
    static Spread spread(const uint8_t* word) {
        typedef int64_t L __attribute__((vector_size(kBytes)));
        return (S)(load<Word>(word) - L{});
    }
    static Taken take(const uint8_t* weights) { return {widened(weights), widened(weights + kBytes / 2)}; }
    // Half a register of bytes as numbers of 16 bits; products of two such registers, added in pairs.
#if LEVEL_BYTES == 64
    static S widened(const uint8_t* bytes) { return (S)_mm512_cvtepi8_epi16(load<__m256i>(bytes)); }
    static I pairs(S a, S b) { return (I)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
#elif LEVEL_BYTES == 32
    static S widened(const uint8_t* bytes) { return (S)_mm256_cvtepi8_epi16(load<__m128i>(bytes)); }
    static I pairs(S a, S b) { return (I)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
#elif defined(__x86_64__)
    static S widened(const uint8_t* bytes) {
        const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes));
        return (S)_mm_srai_epi16(_mm_unpacklo_epi8(eight, eight), 8);  // each in the upper half of its 16 bits, shifted down with its sign
    }
    static I pairs(S a, S b) { return (I)_mm_madd_epi16((__m128i)a, (__m128i)b); }
#elif defined(__aarch64__)
    static S widened(const uint8_t* bytes) { return (S)vmovl_s8(load<int8x8_t>(bytes)); }
    static I pairs(S a, S b) {
        const int16x8_t x = (int16x8_t)a, y = (int16x8_t)b;
        return (I)vpaddq_s32(vmull_s16(vget_low_s16(x), vget_low_s16(y)), vmull_high_s16(x, y));
    }
#else
    static S widened(const uint8_t* bytes) {
        S found;
        for (int i = 0; i < kBytes / 2; ++i) found[i] = static_cast<int8_t>(bytes[i]);
        return found;
    }
    static I pairs(S a, S b) {
        I found;
        for (int i = 0; i < kLanes; ++i) found[i] = a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
        return found;
    }
#endif
    static Sum add(Taken w, Spread x, Sum sum) { return {sum.low + pairs(w.low, x), sum.high + pairs(w.high, x)}; }
    static Sum plus(Sum a, Sum b) { return {a.low + b.low, a.high + b.high}; }
    static F total(Sum sum) {
        int32_t pairs[2 * kLanes], rows[kLanes];
        store(pairs, sum.low);
        store(pairs + kLanes, sum.high);
        for (int i = 0; i < kLanes; ++i) rows[i] = pairs[2 * i] + pairs[2 * i + 1];
        return to_float(load<I>(rows));
    }
};
#endif

}  // namespace small_models::LEVEL
