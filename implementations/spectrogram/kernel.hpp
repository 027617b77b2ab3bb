// A batch of log-magnitude filtered spectrograms: what every dispatch level computes.
#pragma once

#include <cstdint>
#include <vector>

constexpr int kFrame = 2048;

// Triangular filters as runs of weights: band b weighs bins first[b] .. first[b + 1 in offset terms].
struct Bands {
    std::vector<int32_t> first, offset;  // first bin of each band; where its weights start (bands + 1 entries)
    std::vector<float> weight;
    int32_t low = 0, high = 0;  // bins low .. high - 1 have a weight
    int32_t count() const { return static_cast<int32_t>(first.size()); }
};

struct Job {
    const void* signals;  // (stems, samples), int16 or float
    bool integer;
    int64_t stems, samples, frames;
    double hop;            // samples; frame i starts at int(i * hop) - 1024
    const double* window;  // 2048, for int16 already divided by 32767
    const Bands* bands;
    bool single;  // transform in float instead of double
    float* out;   // (stems, frames, bands)
};

// A level: how many frames one unit of work has, and the work itself. `run` computes blocks first .. last - 1 of one stem and
// returns false when it met a NaN, an infinity, or magnitudes above 1.8e19.
struct Level {
    const char* name;
    int frames;
    bool (*run)(const Job& job, int64_t stem, int64_t first, int64_t last);
    void (*log10_1p)(const float* in, float* out, int64_t count);  // the logarithm alone, so that its error can be measured
};
