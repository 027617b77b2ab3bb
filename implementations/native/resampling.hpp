// Another sample rate by a polyphase filter. A lane is a period: as many neighbouring periods as a register has lanes are transposed, so that
// every weight is one number for all lanes, and the results are transposed back.
#pragma once

#include "resampler.hpp"
#include "simd.hpp"

namespace LEVEL {

// Floats of scratch that resample_blocks needs.
inline int64_t resampling_scratch(const Resampler& of) {
    const int64_t rows = of.rows + kFrames, results = of.outputs + kFrames + kTogether;
    return (rows + results) * kFrames + of.inputs * int64_t{kFrames - 1} + rows;
}

// A square of values out of rows `from`, `stride` apart, into rows of scratch that are a register wide.
inline void turn_square(const float* from, int64_t stride, float* to) {
    VecF tile[kFrames];
    for (int i = 0; i < kFrames; ++i) tile[i] = load<VecF>(from + i * stride);
    transpose(tile);
    for (int i = 0; i < kFrames; ++i) store(to + i * kFrames, tile[i]);
}

// Outputs of blocks first .. last - 1, each of kFrames periods, of `count` samples between zeros; there are `wanted` in all.
// scratch: aligned to a register.
inline void resample_blocks(const Resampler& of, const float* in, int64_t count, float* out, int64_t wanted, int64_t first, int64_t last, float* scratch) {
    const int64_t rows = (of.rows + kFrames - 1) / kFrames * kFrames;
    float *const turned = scratch, *const results = turned + rows * kFrames;
    float* const edge = results + (static_cast<int64_t>(of.outputs) + kFrames + kTogether) / kFrames * kFrames * kFrames;
    for (int64_t block = first; block < last; ++block) {
        const int64_t begin = block * kFrames * of.inputs - of.before, length = (kFrames - 1) * int64_t{of.inputs} + rows;
        const float* from = in + begin;
        if (begin < 0 || begin + length > count) {
            for (int64_t i = 0; i < length; ++i) edge[i] = begin + i >= 0 && begin + i < count ? in[begin + i] : 0.0f;
            from = edge;
        }
        for (int64_t row = 0; row < rows; row += kFrames) turn_square(from + row, of.inputs, turned + row * kFrames);

        for (int32_t g = 0; g < of.groups; ++g) {
            const float *row = turned + of.first[g] * int64_t{kFrames}, *weight = of.weight + static_cast<int64_t>(g) * of.taps * kTogether;
            VecF even[kTogether] = {}, odd[kTogether] = {};  // two sums each, so that additions need not wait for each other
            const auto tap = [&](int32_t t, VecF(&sums)[kTogether]) {
                const VecF x = load<VecF>(row + t * int64_t{kFrames});
                for (int j = 0; j < kTogether; ++j) sums[j] = fma(x, same<VecF>(weight[t * kTogether + j]), sums[j]);
            };
            int32_t t = 0;
            for (; t + 1 < of.taps; t += 2) tap(t, even), tap(t + 1, odd);
            if (t < of.taps) tap(t, even);
            for (int j = 0; j < kTogether; ++j) store(results + (g * int64_t{kTogether} + j) * kFrames, even[j] + odd[j]);
        }

        for (int32_t output = 0; output < of.outputs; output += kFrames) {
            VecF tile[kFrames];
            for (int i = 0; i < kFrames; ++i) tile[i] = load<VecF>(results + (output + i) * int64_t{kFrames});
            transpose(tile);
            for (int i = 0; i < kFrames; ++i) {
                const int64_t at = (block * kFrames + i) * of.outputs + output;
                const int64_t left = of.outputs - output < wanted - at ? of.outputs - output : wanted - at;
                if (left >= kFrames) store(out + at, tile[i]);
                else if (left > 0) std::memcpy(out + at, &tile[i], sizeof(float) * static_cast<size_t>(left));
            }
        }
    }
}

}  // namespace LEVEL
