// What every dispatch level computes, and from what: numbers and pointers only. Templates of the standard library stay out of the
// kernel, because an instance compiled for AVX-512 could be the one the linker keeps for everybody.
#pragma once

#include <cstdint>

namespace vocoder {

// Toom and Cook: four outputs of a convolution with four taps are seven products, at the points 0, 1, -1, 2, -2, 1/2 and infinity.
// A longer kernel is cut into segments of four taps, whose products add up before they are turned back into outputs.
constexpr int kPoints = 7, kOutputs = 4, kTaps = 4;
constexpr int kMostTiles = 256, kMostSegments = 8, kMostChannels = 4096;

// A convolution over time, packed for one level. Channels are padded to whole vectors; padding has weight zero.
struct Layer {
    int inputs, outputs;       // channels, padded
    int taps, segments, dilation;
    float slope;               // of the leaky ReLU on what comes in; 1: none
    int bits;                  // of a factor of a product: 32 (floats), 16 or 8 (integers)
    int groups;                // of one vector of units each, in a row of what enters
    int tiles;                 // at a time: as many as the cache holds with the weights
    int depth[kPoints];        // segments whose weights are not all zero
    const uint32_t* weights;   // (panels, points, depth, groups, lanes, width of the panel)
    const float* scales;       // integers: (points, outputs), of the weights
    const float* shifts;       // 8 bits: (points, outputs), what a sum has too much since what enters has no sign
    float limits[kPoints];     // integers: largest magnitude that may enter so that no sum leaves 32 bits
    const float* bias;         // (outputs,)
};

// Rows of channels by time. What lies outside [begin, end) counts as zero.
struct Rows {
    float* first;
    int64_t origin, begin, end;  // time of `first`; times that hold values
    int64_t stride;              // floats
};

// Times [begin, end) of a convolution's output: out = convolution(in) + bias + residual + total, where given; a total comes with a residual.
struct Job {
    const Layer* layer;
    Rows in, out, residual, total;
    int64_t begin, end;
};

// The last convolution: `taps` of one output channel over `channels`, and tanh.
struct Last {
    int channels, taps;
    float slope, bias;
    const float* weights;  // (taps, channels)
};

struct Level {
    const char* name;
    int lanes;
    int most_rows;
    void (*convolve)(const Job& job, void* scratch);
    void (*finish)(const Last& last, const Rows& in, int64_t begin, int64_t end, float* wave);
};

// Bytes of scratch that convolve() needs for a layer.
inline int64_t scratch_bytes(const Layer& layer, int lanes) {
    return 4 * (int64_t{kPoints} * (layer.tiles + layer.segments) * layer.groups * lanes + layer.outputs) + 64;
}

}  // namespace vocoder
