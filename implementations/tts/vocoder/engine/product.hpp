// Rows of what enters times a panel of weights, the sums in registers: the loop in which nearly all of the time goes.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"

namespace LEVEL {

using namespace vocoder;

// Units by which weights are fetched before they are needed: left to the hardware's own prefetch, the whole takes a tenth longer.
constexpr int kAhead = 32;

// sums (rows, vectors) = over segments s, groups g and their units u: entering[g][row + s][u] * weights[s][g][u][vector].
// entering: groups lie `stride` units apart, rows of a group one vector of units. weights: read once, in their order.
// A long sum of floats rounds at its full size in every step, which the way back from the points multiplies: after Kind::kGroups groups
// it is put aside and begun anew.
template <class Kind, int rows, int vectors>
inline const uint32_t* product(const uint32_t* entering, int64_t stride, int groups, int depth, const uint32_t* weights, VecF* sums) {
    typename Kind::Sum sum[rows][vectors] = {};
    if (Kind::kGroups)
        for (int i = 0; i < rows * vectors; ++i) sums[i] = VecF{};
    for (int s = 0; s < depth; ++s) {
        const uint32_t* row = entering + s * kLanes;
        for (int g = 0; g < groups; ++g, row += stride) {
            for (int u = 0; u < kLanes; ++u, weights += vectors * kLanes) {
                for (int v = 0; v < vectors; ++v) __builtin_prefetch(weights + (kAhead * vectors + v) * kLanes);
#pragma GCC unroll 16
                for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
                    for (int v = 0; v < vectors; ++v) sum[r][v] = Kind::add(sum[r][v], row + r * kLanes + u, weights + v * kLanes);
            }
            if (Kind::kGroups && (g + 1) % Kind::kGroups == 0)
                for (int r = 0; r < rows; ++r)
                    for (int v = 0; v < vectors; ++v) {
                        sums[r * vectors + v] += Kind::value(sum[r][v]);
                        sum[r][v] = typename Kind::Sum{};
                    }
        }
    }
    for (int r = 0; r < rows; ++r)
        for (int v = 0; v < vectors; ++v) {
            VecF& to = sums[r * vectors + v];
            to = Kind::kGroups ? to + Kind::value(sum[r][v]) : Kind::value(sum[r][v]);
        }
    return weights;
}

template <class Kind, int vectors> using Product = const uint32_t* (*)(const uint32_t*, int64_t, int, int, const uint32_t*, VecF*);

// The product for a number of rows from 1 to kMostRows.
template <class Kind, int vectors, int rows = kMostRows> inline Product<Kind, vectors> product_of(int count) {
    if constexpr (rows > 1)
        if (count < rows) return product_of<Kind, vectors, rows - 1>(count);
    return &product<Kind, rows, vectors>;
}

}  // namespace LEVEL
