// A matrix is read once, at the speed of memory, for all rows: 2 or 4 of its rows at a time meet up to 8 rows of x in registers.
//
// The weights stay as a checkpoint has them, so that they can be used where they lie. A bfloat16 is the upper half of a float: of a
// register of them, one shift gives the even ones and one mask the odd ones, at no shuffle, and x is arranged to match.
// Sums are float32, in lanes, in an order that depends neither on the other rows nor on threads: batching changes no bit.
#include "kernel.hpp"

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

int64_t room(int64_t inputs) { return (inputs + kStep - 1) / kStep * kStep; }

void arrange(Type type, const float* row, int64_t inputs, float* arranged) {
    const int64_t padded = room(inputs);
    if (type != Type::bfloat16) {
        std::memcpy(arranged, row, inputs * sizeof(float));
        std::memset(arranged + inputs, 0, (padded - inputs) * sizeof(float));
        return;
    }
    for (int64_t step = 0; step < padded; step += kStep)
        for (int i = 0; i < kStep; ++i) arranged[step + i % 2 * kLanes + i / 2] = step + i < inputs ? row[step + i] : 0.0f;
}

// W rows of the matrix from n on, R rows of x.
template <class T, int W, int R>
void block(const Matrix& m, const float* x, int64_t padded, float* out, int64_t stride, int64_t n) {
    using Stored = typename T::Stored;
    const Stored* rows = static_cast<const Stored*>(m.weights) + n * m.inputs;
    const int64_t next = W * m.inputs;
    F total[W][R] = {};
    const auto step = [&](const Stored* const* w, int64_t k) {
        for (int i = 0; i < W; ++i) {
            F a, b;
            // The same place of the next rows. A row is short and W of them lie side by side: hardware finds no stream to run ahead of.
            __builtin_prefetch(reinterpret_cast<const char*>(w[i] + next), 0, 2);
            if (sizeof(Stored) == 4) __builtin_prefetch(reinterpret_cast<const char*>(w[i] + next + kLanes), 0, 2);
            T::widen(w[i], a, b);
            for (int r = 0; r < R; ++r) {
                const float* values = x + r * padded + k;
                total[i][r] = a * load<F>(values) + total[i][r];
                total[i][r] = b * load<F>(values + kLanes) + total[i][r];
            }
        }
    };
    const Stored* w[W];
    int64_t k = 0;
    for (; k + kStep <= m.inputs; k += kStep) {
        for (int i = 0; i < W; ++i) w[i] = rows + i * m.inputs + k;
        step(w, k);
    }
    if (k < m.inputs) {  // the last few, with zeros beside them: nothing is read beyond the matrix
        Stored tail[W][kStep] = {};
        for (int i = 0; i < W; ++i) {
            std::memcpy(tail[i], rows + i * m.inputs + k, (m.inputs - k) * sizeof(Stored));
            w[i] = tail[i];
        }
        step(w, k);
    }
    for (int i = 0; i < W; ++i)
        for (int r = 0; r < R; ++r) out[r * stride + n + i] = sum(total[i][r]) * (m.scales ? m.scales[n + i] : 1.0f);
}

// All rows of x against W rows of the matrix, which stay in the nearest cache meanwhile.
template <class T, int W>
void against(const Matrix& m, const float* x, int64_t rows, float* out, int64_t stride, int64_t n) {
    const int64_t padded = room(m.inputs);
    int64_t r = 0;
    const auto take = [&](auto count) {
        for (; rows - r >= count; r += count) block<T, W, count>(m, x + r * padded, padded, out + r * stride, stride, n);
    };
    take(std::integral_constant<int, 8>{});
    take(std::integral_constant<int, 4>{});
    take(std::integral_constant<int, 2>{});
    take(std::integral_constant<int, 1>{});
}

template <class T>
void typed(const Matrix& m, const float* x, int64_t rows, float* out, int64_t stride, int64_t begin, int64_t end) {
    int64_t n = begin;
    if (rows <= 2)
        for (; n + 4 <= end; n += 4) against<T, 4>(m, x, rows, out, stride, n);
    for (; n + 2 <= end; n += 2) against<T, 2>(m, x, rows, out, stride, n);
    for (; n < end; ++n) against<T, 1>(m, x, rows, out, stride, n);
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
const Level level{NAME_OF(LEVEL), room, arrange, multiply};

}  // namespace skinny::LEVEL
