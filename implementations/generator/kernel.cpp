// A matrix is read once, at the speed of memory, for all rows: 4 or 8 of its rows at a time meet up to 4 rows of x in registers.
//
// It is laid out so that all of it is one stream (kernel.hpp), and asked for ahead of time: far ahead into the second cache, near by into the
// first. A bfloat16 is the upper half of a float: of a register of them, one shift gives the even ones and one mask the odd ones, at no
// shuffle, and x is arranged to match.
// Sums are float32, in lanes, in an order that depends neither on the other rows nor on threads: batching changes no bit.
#include "kernel.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace skinny::LEVEL {

#if defined(LEVEL_avx512)
constexpr int kBytes = 64;
#elif defined(LEVEL_avx2)
constexpr int kBytes = 32;
#else
constexpr int kBytes = 16;
#endif
constexpr int kLanes = kBytes / 4, kStep = 2 * kLanes;  // weights per step, of every type
static_assert(kLine % kStep == 0);
constexpr int kNear = 2 << 10, kFar = 16 << 10;  // bytes ahead; measured

typedef float F __attribute__((vector_size(kBytes)));
typedef uint32_t U __attribute__((vector_size(kBytes)));
typedef int32_t I __attribute__((vector_size(kBytes)));
typedef int8_t B __attribute__((vector_size(kLanes)));
typedef int16_t H __attribute__((vector_size(2 * kLanes)));

template <class V> inline V load(const void* from) {
    V v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

inline float sum(F v) {
    float total[kLanes];
    std::memcpy(total, &v, sizeof v);
    for (int half = kLanes / 2; half; half /= 2)
        for (int i = 0; i < half; ++i) total[i] += total[i + half];
    return total[0];
}

// Two registers of floats of kStep weights, in the order of `arrange`.
struct Float32 {
    using Stored = float;
    static inline void widen(const Stored* w, F& a, F& b) { a = load<F>(w), b = load<F>(w + kLanes); }
};
struct BFloat16 {
    using Stored = uint16_t;
    static inline void widen(const Stored* w, F& a, F& b) {
        const U both = load<U>(w);
        a = (F)(both << 16), b = (F)(both & 0xffff0000u);
    }
};
struct Float16 {
    using Stored = int16_t;
    static inline F one(const Stored* w) {
#if defined(LEVEL_avx512)
        return (F)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)));
#elif defined(LEVEL_avx2)
        return (F)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(w)));
#elif defined(__aarch64__)
        return (F)vcvt_f32_f16(vreinterpret_f16_s16(vld1_s16(w)));
#else
        // Exponent and fraction move up as they are; the factor 2^112 corrects the bias of the exponent, denormals included.
        const I bits = __builtin_convertvector(load<H>(w), I);
        const F magnitude = (F)((bits & 0x7fff) << 13) * 0x1p112f;
        return (F)((I)magnitude | ((bits & 0x8000) << 16));
#endif
    }
    static inline void widen(const Stored* w, F& a, F& b) { a = one(w), b = one(w + kLanes); }
};
struct Int8 {
    using Stored = int8_t;
    static inline void widen(const Stored* w, F& a, F& b) {
        // By way of 32 bits: from 8 bits to floats at once, compilers go number by number.
        a = __builtin_convertvector(__builtin_convertvector(load<B>(w), I), F);
        b = __builtin_convertvector(__builtin_convertvector(load<B>(w + kLanes), I), F);
    }
};

void arrange(Type type, const float* row, int64_t inputs, int64_t lines, float* arranged) {
    const int64_t padded = lines * kLine;
    if (type != Type::bfloat16) {
        std::memcpy(arranged, row, inputs * sizeof(float));
        std::memset(arranged + inputs, 0, (padded - inputs) * sizeof(float));
        return;
    }
    for (int64_t step = 0; step < padded; step += kStep)
        for (int i = 0; i < kStep; ++i) arranged[step + i % 2 * kLanes + i / 2] = step + i < inputs ? row[step + i] : 0.0f;
}

// W of the rows of block number `n`, from `part` on, and R rows of x.
template <class T, int W, int R>
void rows_of_block(const Matrix& m, const float* x, float* out, int64_t stride, int64_t n, int part) {
    using Stored = typename T::Stored;
    const int64_t padded = m.lines * kLine;
    const Stored* w = static_cast<const Stored*>(m.weights) + n * padded * kRows + part * kLine;
    F total[W][R] = {};
    for (int64_t line = 0; line < m.lines; ++line, w += kRows * kLine) {
        for (int byte = 0; byte < W * kLine * static_cast<int>(sizeof(Stored)); byte += 64) {
            const char* here = reinterpret_cast<const char*>(w) + byte;
            __builtin_prefetch(here + kNear, 0, 3);
            __builtin_prefetch(here + kFar, 0, 2);
        }
        for (int step = 0; step < kLine; step += kStep) {
            F xa[R], xb[R];
            for (int r = 0; r < R; ++r) {
                const float* values = x + r * padded + line * kLine + step;
                xa[r] = load<F>(values), xb[r] = load<F>(values + kLanes);
            }
            for (int i = 0; i < W; ++i) {
                F a, b;
                T::widen(w + i * kLine + step, a, b);
                for (int r = 0; r < R; ++r) {
                    total[i][r] = a * xa[r] + total[i][r];
                    total[i][r] = b * xb[r] + total[i][r];
                }
            }
        }
    }
    const int64_t first = n * kRows + part, count = std::min<int64_t>(W, m.outputs - first);
    for (int i = 0; i < W; ++i)
        for (int r = 0; r < R; ++r)
            if (i < count) out[r * stride + first + i] = sum(total[i][r]) * (m.scales ? m.scales[first + i] : 1.0f);
}

// So many rows of the matrix and of x as registers hold the sums of, and what they are made of.
#if defined(LEVEL_avx512) || defined(LEVEL_neon)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

// All rows of x against each block in turn, which stays in a near cache meanwhile.
template <class T>
void typed(const Matrix& m, const float* x, int64_t rows, float* out, int64_t stride, int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
        int64_t r = 0;
        const auto take = [&](auto count) {
            constexpr int R = count, W = std::min(kRows, kRegisters / 2 / R);
            for (; rows - r >= R; r += R)
                for (int part = 0; part < kRows; part += W)
                    rows_of_block<T, W, R>(m, x + r * m.lines * kLine, out + r * stride, stride, n, part);
        };
        if (kRegisters == 32) take(std::integral_constant<int, 4>{});
        take(std::integral_constant<int, 2>{});
        take(std::integral_constant<int, 1>{});
    }
}

void multiply(const Matrix& m, const float* x, int64_t rows, float* out, int64_t stride, int64_t begin, int64_t end) {
    switch (m.type) {
        case Type::float32: return typed<Float32>(m, x, rows, out, stride, begin, end);
        case Type::bfloat16: return typed<BFloat16>(m, x, rows, out, stride, begin, end);
        case Type::float16: return typed<Float16>(m, x, rows, out, stride, begin, end);
        case Type::int8: return typed<Int8>(m, x, rows, out, stride, begin, end);
    }
}

#define TEXT_OF(x) #x
#define NAME_OF(x) TEXT_OF(x)
extern const Level level;
const Level level{NAME_OF(LEVEL), arrange, multiply};

}  // namespace skinny::LEVEL
