// What every dispatch level computes, and from what: numbers and pointers only. Templates of the standard library stay out of the
// kernel, because an instance compiled for AVX-512 could be the one the linker keeps for everybody.
#pragma once

#include <cstdint>

#include "transform.hpp"

// One sample rate, type of samples and precision, prepared for one level.
struct Tables {
    double hop;      // samples; frame i starts at int(i * hop) - 1024
    int64_t period;  // samples after which the frames of a block repeat (see Layout in plan.hpp), or kFrame
    bool shared;
    int32_t used, stride;                // columns of the transposed samples in use, and their distance
    const int32_t* at;                   // (64, 32): where samples n2 + 64 n1 of a frame lie in them
    const double* window;                // (64, 32), in the same order; float for a transform in float
    const float* window32;
    const Twiddles<double>* twiddles;
    const Twiddles<float>* twiddles32;
    int32_t bands, high;                 // bins from `high` on have no weight
    const int32_t *place, *offset;       // band b sums weight[i] * magnitude[place[i]] for i = offset[b] .. offset[b + 1] - 1
    const float* weight;
};

struct Job {
    const void* signals;  // (stems, samples), int16 or float
    bool integer;         // int16
    bool single;          // transform in float instead of double
    int64_t stems, samples, frames;
    float* out;           // (stems, frames, bands)
};

// `run` computes blocks first .. last - 1, of `frames` frames each, of one stem. False: it met a NaN, an infinity, or a magnitude
// whose square overflows a float.
struct Level {
    int frames;
    bool (*run)(const Tables& tables, const Job& job, int64_t stem, int64_t first, int64_t last);
    void (*log10_1p)(const float* in, float* out, int64_t count);  // the logarithm alone, so that its error can be measured
};
