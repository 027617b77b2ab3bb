// What every dispatch level computes for the codec's decoder, and from what. The products, the points and the packed weights are the
// vocoder's; here are causal convolutions in pieces, of several items at once, so that wide weights are read once for all of them.
#pragma once

#include "../../tts/vocoder/engine/kernel.hpp"

namespace codec {

// A convolution over time. before: taps on rows before the present one, dilated; slope: of the PReLU behind it, any, 1: none.
struct Layer {
    vocoder::Layer packed;  // weights at Toom and Cook's points, or, unless filtered, as they are: (panels, taps, groups, lanes, width)
    bool filtered;
    int before;
    float slope;

    int points() const { return filtered ? vocoder::kPoints : 1; }
    int64_t past() const { return int64_t{before} * packed.dilation; }
};

// Rows of one item by time: before row 0 those of `past`, from `count` on zeros.
struct Rows {
    const float* first;
    const float* past;  // (layer.past(), stride)
    int64_t count, stride;
};

struct Item {
    Rows in;
    float* out;             // (rows, layer.packed.outputs)
    const float* residual;  // as out, or null; may be the same
};

// Rows [begin, end) of some items, panels [first_panel, end_panel) of two vectors each: out = PReLU(convolution(in) + bias) + residual.
struct Job {
    const Layer* layer;
    const Item* items;
    int count;
    int64_t begin, end;
    int first_panel, end_panel;
};

// The last convolution, to one channel.
struct Last {
    int channels, taps;
    float bias;
    const float* weights;  // (taps, channels)
};

struct Level {
    const char* name;
    int lanes;
    void (*convolve)(const Job& job, void* scratch);
    // wave (end - begin,): samples [begin, end).
    void (*finish)(const Last& last, const Rows& in, int64_t begin, int64_t end, float* wave);
};

// Bytes of scratch that convolve() needs for a layer: what enters a block, and the sums of a panel.
inline int64_t scratch_bytes(const Layer& layer, int lanes) {
    return int64_t{4} * layer.points() * layer.packed.tiles * (layer.packed.groups + 2) * lanes;
}

}  // namespace codec
