// The sums of a panel's rows for a few frames: what a layer is before its activation.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"
#include "weights.hpp"

namespace small_models::LEVEL {

constexpr int kAhead = 4096;  // bytes that weights are asked for in advance

// Bytes of a vector of rows over a group of columns.
constexpr int vector_bytes(Precision precision) { return kLanes * group(precision) * element_bytes(precision); }

// What the weights of a panel are multiplied with.
template <class W> struct Inputs {
    const uint8_t* staged;  // of the first frame
    int64_t stride;         // bytes between frames
    const float* ranges;    // int8: (frames, 2)
    int32_t groups;

    Inputs from(int32_t frame) const { return {staged + frame * stride, stride, ranges ? ranges + 2 * frame : nullptr, groups}; }
};

template <class W> constexpr int32_t groups_of(int32_t columns) { return (columns + group(W::precision) - 1) / group(W::precision); }

// Sums of A vectors of rows over `groups` groups of columns, for N frames. Few rows have too few sums to keep the arithmetic busy:
// they get U of each, for every U-th group.
template <class W, int A, int N, int U>
inline const uint8_t* accumulate(const uint8_t* columns, const Inputs<W>& in, typename W::Sum (&sums)[U][N][A]) {
    constexpr int bytes = vector_bytes(W::precision);
    const auto step = [&](int32_t g, int u) {
        typename W::Spread x[N];
        for (int n = 0; n < N; ++n) x[n] = W::spread(in.staged + n * in.stride + g * static_cast<int64_t>(sizeof(typename W::Word)));
#pragma GCC unroll 8
        for (int a = 0; a < A; ++a) {
            // Streams are prefetched across pages, where the hardware stops: worth a third where caches are cold. Bytes are so dense in
            // work that the request costs more than it brings.
            if constexpr (W::precision != Precision::int8) __builtin_prefetch(columns + kAhead + a * bytes);
            const typename W::Taken w = W::take(columns + a * bytes);
#pragma GCC unroll 3
            for (int n = 0; n < N; ++n) sums[u][n][a] = W::add(w, x[n], sums[u][n][a]);
        }
        columns += A * bytes;
    };
    int32_t g = 0;
    for (; g + U <= in.groups; g += U) {
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) step(g + u, u);
    }
    for (; g < in.groups; ++g) step(g, 0);
    return columns;
}

// How many sums a row gets: kPanel sums in flight hide the latency of the additions.
template <int A> constexpr int kSplit = kPanel / A > 1 ? kPanel / A : 1;

// Before their activation: A vectors of rows for N frames. They start as `begin` has them, each input is added, and `finish` ends them:
// three steps, so that a frame's sums are the same to the bit whether its inputs are added at once or one long before the other.
template <int A, int N> struct Rows {
    F value[N][A];
};

template <class W, int A, int N> inline void begin(const uint8_t* constants, Rows<A, N>& rows) {
    for (int n = 0; n < N; ++n)
        for (int a = 0; a < A; ++a) rows.value[n][a] = W::precision == Precision::int24 ? F{} : load<F>(constants + a * kBytes);
}

// The product of the panel's `number`-th input, whose weights begin at `columns`; where those of the next one do.
template <class W, int A, int N>
inline const uint8_t* add(const uint8_t* constants, int number, const uint8_t* columns, const Inputs<W>& in, Rows<A, N>& rows) {
    constexpr int U = kSplit<A>;
    typename W::Sum sums[U][N][A] = {};
    if constexpr (W::precision == Precision::int8) {
        const uint8_t* scales = constants + (1 + 2 * number) * A * kBytes;
        columns = accumulate<W, A, N, U>(columns, in, sums);
        for (int n = 0; n < N; ++n) {
            const F step = same(in.ranges[2 * n]), lowest = same(in.ranges[2 * n + 1]);
            for (int a = 0; a < A; ++a) {
                typename W::Sum sum = sums[0][n][a];
                for (int u = 1; u < U; ++u) sum = W::plus(sum, sums[u][n][a]);
                const F scaled = fma(load<F>(scales + a * kBytes) * step, W::total(sum), rows.value[n][a]);
                rows.value[n][a] = fma(load<F>(scales + (A + a) * kBytes), lowest, scaled);
            }
        }
    } else {
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a) sums[0][n][a] = rows.value[n][a];
        columns = accumulate<W, A, N, U>(columns, in, sums);
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a) {
                rows.value[n][a] = sums[0][n][a];
                for (int u = 1; u < U; ++u) rows.value[n][a] += sums[u][n][a];
            }
    }
    return columns;
}

template <class W, int A, int N> inline void finish(const uint8_t* constants, Rows<A, N>& rows) {
    if constexpr (W::precision == Precision::int24)
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a)
                rows.value[n][a] = fma(load<F>(constants + (A + a) * kBytes), rows.value[n][a], load<F>(constants + a * kBytes));
}

}  // namespace small_models::LEVEL
