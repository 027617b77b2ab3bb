// A matrix is read once, at the speed of memory, for all rows: 4 or 8 of its rows at a time meet up to 4 rows of x in registers.
//
// It is laid out so that all of it is one stream (kernel.hpp), and asked for ahead of time: far ahead into the second cache, near by into the
// first. A bfloat16 is the upper half of a float: of a register of them, one shift gives the even ones and one mask the odd ones; of a register
// of bytes, shifts give every fourth. There are no shuffles: x is arranged to match.
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
constexpr int kLanes = kBytes / 4;
constexpr int kNear = 2 << 10, kFar = 16 << 10;  // bytes ahead; measured

typedef float F __attribute__((vector_size(kBytes)));
typedef uint32_t U __attribute__((vector_size(kBytes)));
typedef int32_t I __attribute__((vector_size(kBytes)));
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

// kParts registers of floats of as many times kLanes weights. kShare: weights that share a lane of a register, where they lie.
struct Float32 {
    using Stored = float;
    static constexpr int kParts = 2, kShare = 1;
    static inline void widen(const Stored* w, F* parts) { parts[0] = load<F>(w), parts[1] = load<F>(w + kLanes); }
};
struct BFloat16 {
    using Stored = uint16_t;
    static constexpr int kParts = 2, kShare = 2;
    static inline void widen(const Stored* w, F* parts) {
        const U both = load<U>(w);
        parts[0] = (F)(both << 16), parts[1] = (F)(both & 0xffff0000u);
    }
};
struct Float16 {
    using Stored = int16_t;
    static constexpr int kParts = 2, kShare = 1;
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
    static inline void widen(const Stored* w, F* parts) { parts[0] = one(w), parts[1] = one(w + kLanes); }
};
struct Int8 {
    using Stored = int8_t;
    static constexpr int kParts = 4, kShare = 4;
    static inline void widen(const Stored* w, F* parts) {
        const U four = load<U>(w);
        for (int i = 0; i < 4; ++i) parts[i] = __builtin_convertvector((I)(four << (24 - 8 * i)) >> 24, F);
    }
};

// The weights of a lane meet neighbours of x in turn: neighbours are set kLanes apart.
template <class T> void arranged_for(const float* row, int64_t inputs, int64_t padded, float* arranged) {
    constexpr int step = T::kShare * kLanes;
    for (int64_t k = 0; k < padded; k += step)
        for (int i = 0; i < step; ++i) arranged[k + i % T::kShare * kLanes + i / T::kShare] = k + i < inputs ? row[k + i] : 0.0f;
}

void arrange(Type type, const float* row, int64_t inputs, int64_t lines, float* arranged) {
    switch (type) {
        case Type::float32: return arranged_for<Float32>(row, inputs, lines * kLine, arranged);
        case Type::bfloat16: return arranged_for<BFloat16>(row, inputs, lines * kLine, arranged);
        case Type::float16: return arranged_for<Float16>(row, inputs, lines * kLine, arranged);
        case Type::int8: return arranged_for<Int8>(row, inputs, lines * kLine, arranged);
    }
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
        static_assert(kLine % (T::kParts * kLanes) == 0);
        for (int step = 0; step < kLine; step += T::kParts * kLanes) {
            F values[R][T::kParts];
            for (int r = 0; r < R; ++r)
                for (int p = 0; p < T::kParts; ++p) values[r][p] = load<F>(x + r * padded + line * kLine + step + p * kLanes);
            for (int i = 0; i < W; ++i) {
                F weights[T::kParts];
                T::widen(w + i * kLine + step, weights);
                for (int r = 0; r < R; ++r)
                    for (int p = 0; p < T::kParts; ++p) total[i][r] = weights[p] * values[r][p] + total[i][r];
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
