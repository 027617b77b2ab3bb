// Into the seven points and back. What enters is multiplied, for each finite point, by the polynomial that is zero at the other five, and
// for infinity by the one that is zero at all six. All but that of 1/2 share the factor (x - 1/2), which is taken first.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"

namespace LEVEL {

using namespace vocoder;

inline void to_points(const VecF (&d)[kPoints], VecF (&v)[kPoints]) {
    const VecF e0 = d[1] - 0.5f * d[0], e1 = d[2] - 0.5f * d[1], e2 = d[3] - 0.5f * d[2];
    const VecF e3 = d[4] - 0.5f * d[3], e4 = d[5] - 0.5f * d[4], e5 = d[6] - 0.5f * d[5];
    const VecF even1 = e4 - 4.0f * e2, odd1 = e3 - 4.0f * e1, even2 = e4 - e2, odd2 = e3 - e1;
    v[0] = 4.0f * e0 - 5.0f * e2 + e4;
    v[1] = even1 + odd1;
    v[2] = even1 - odd1;
    v[3] = even2 + 2.0f * odd2;
    v[4] = even2 - 2.0f * odd2;
    v[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
    v[6] = 4.0f * e1 - 5.0f * e3 + e5;
}

// Sums of the positive and of the negative coefficients of to_points: how large its results can become.
constexpr float kPositive[kPoints] = {7.5f, 3.5f, 7.0f, 3.5f, 3.5f, 5.0f, 7.5f};
constexpr float kNegative[kPoints] = {7.5f, 6.5f, 7.0f, 3.5f, 3.5f, 5.0f, 7.5f};

inline void from_points(const VecF (&m)[kPoints], VecF (&y)[kOutputs]) {
    const VecF sum1 = m[1] + m[2], difference1 = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2 + m[5];
    y[1] = difference1 + 2.0f * difference2 + 0.5f * m[5];
    y[2] = sum1 + 4.0f * sum2 + 0.25f * m[5];
    y[3] = difference1 + 8.0f * difference2 + 0.125f * m[5] + m[6];
}

}  // namespace LEVEL
