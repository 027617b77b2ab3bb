// What every dispatch level computes, and from what: numbers and pointers only. Templates of the standard library stay out of the
// kernel, because an instance compiled for AVX-512 could be the one the linker keeps for everybody.
#pragma once

#include <cstdint>

namespace small_models {

// How weights lie in memory. int24: whole numbers of 24 bits with a scale per row, made of float32 when the arena is filled; off by at most
// 2^-24 of the row's largest weight, as float32 sums are, in three quarters of the bytes.
enum class Precision : int32_t { float32, bfloat16, float16, int8, int24 };
enum class Activation : int32_t { tanh, relu, sigmoid, softmax };

// Columns of a row that lie together in memory, so that one instruction can take them with one broadcast of the input.
constexpr int group(Precision precision) {
    return precision == Precision::bfloat16 ? 2 : precision == Precision::int8 ? 4 : 1;
}
constexpr int element_bytes(Precision precision) {
    return precision == Precision::float32 ? 4 : precision == Precision::int24 ? 3 : precision == Precision::int8 ? 1 : 2;
}
// Blocks of one float per row in front of a panel's weights: biases; int24: and scales; int8: and, for each input, scales and scales *
// sums of the row.
constexpr int constant_blocks(Precision precision, int inputs) {
    return precision == Precision::int8 ? 1 + 2 * inputs : precision == Precision::int24 ? 2 : 1;
}
constexpr int kSlack = 64;  // bytes that may be read beyond the last weight

// A layer's weights are one stream of panels in the order of use. A panel holds `vectors` * `lanes` rows: first their constants, then the
// columns of the first input, then those of the second. A dense layer has one input, x; an LSTM a second one, its own last output, where
// it keeps state. The rows of an LSTM's panel are the gates (input, forget, cell, output; without state: input, cell, output) of the same
// units.
struct Layer {
    const uint8_t* stream;
    int32_t gates;  // 0: dense; 4: LSTM with state; 3: LSTM from the zero state, where the forget gate has nothing to forget
    int32_t inputs, outputs;
    Activation activation;
    float *hidden, *cell;  // (padded outputs): the state
};

struct Piece {
    const float* source;  // null: the features of the call
    int32_t stride, first, count;
};

struct Model {
    const Layer* layers;
    const Piece* pieces;  // the input is these, one after another
    int32_t layer_count, piece_count;
    float* output;  // (batch, output_stride)
    int32_t output_stride;
};

// Scratch is (batch, stride) floats each; `staged` is one frame's input in the form in which the kernel of a precision takes it, with a place
// behind the batch for the state that each thread stages.
struct Program {
    const Model* models;
    int32_t model_count, stride, feature_count;
    float *scratch[2];
    uint8_t* staged;
    int64_t staged_stride;  // bytes between frames
    float* ranges;          // (batch + threads, 2): int8: scale and minimum of a staged frame
    float* begun;           // (batch, begun_stride): the gates of an LSTM with state, as far as its input goes; null for single frames
    int32_t begun_stride;
};

// What one of `threads` threads does of a pass over `frames` frames: the frames from `first` to before `last` alone, and a part of every
// frame where one follows from the other. There all threads meet: `meet(meeting)` returns when each has called it.
struct Share {
    int32_t frames, first, last, thread, threads;
    void (*meet)(void* meeting);
    void* meeting;
};

// How a level lays out panels: the lanes of a vector, and the most vectors in a panel. A dense layer is cut into as many panels of
// `panel` vectors as fit, then of halves of it; an LSTM into panels of panel / 4 vectors of units, then of one.
struct Level {
    const char* name;
    int32_t lanes, panel;
    // A share of `features` (frames, feature_count) through all enabled models; one function for each precision.
    void (*run[5])(const Program& program, const float* features, const Share& share, const uint8_t* enabled);
    void (*activate)(Activation activation, float* values, int32_t count);  // alone, so that its error can be measured; whole vectors
    uint64_t (*read)(const uint8_t* from, int64_t bytes);                   // no more than reads: the least that a pass over them can take
};

}  // namespace small_models
