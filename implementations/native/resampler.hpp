// A change of sample rate by a whole ratio, as numbers and pointers: resampler_plan.hpp makes it, resampling.hpp does it.
#pragma once

#include <cstdint>

constexpr int kTogether = 4;  // outputs that are computed side by side, from the same inputs

// `outputs` for every `inputs` samples. Input `before` samples in front of a period is row 0 of it; output kTogether * g + j of a period is the sum
// of weight[(g * taps + t) * kTogether + j] * row[first[g] + t] over t.
struct Resampler {
    int32_t outputs, inputs;
    int32_t before, rows;
    int32_t groups, taps;
    const int32_t* first;  // (groups)
    const float* weight;   // (groups, taps, kTogether)
};
