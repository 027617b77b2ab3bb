// The codec's convolutional decoder, packed for one dispatch level: a stage at a time, each in pieces of time that fit a cache. What a
// layer still needs of the past is kept from piece to piece, so nothing is computed twice.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "../../tts/vocoder/engine/packing.hpp"
#include "kernel.hpp"

namespace codec {

using vocoder::Memory;
using vocoder::Room;

struct Convolution {
    vocoder::Packed packed;
    Layer layer{};
    Memory<float> past;  // (kItems, layer.past(), inputs)
};

// The first layer makes `rate` steps of each row; pairs of others add what they make of the steps to them.
struct Stage {
    int rate = 1, channels = 0;
    std::vector<Convolution> layers;
    Room<float> steps, between;  // (kItems, piece, channels)
};

constexpr int kItems = 2;  // the channels of the stereo
constexpr int kAligned = 16;  // channels are padded to multiples of this: whole vectors at every level

// plain: channels padded. filtered: worth it from three taps on.
Convolution packed_for(const Level& level, const vocoder::Plain& plain, bool filtered, int before, int dilation, float slope);

// Runs one decoder; calls take turns.
class Decoder {
  public:
    const Level* level = nullptr;
    std::vector<Stage> stages;
    Memory<float> last_weights;
    Last last{};

    int64_t hop() const;
    // latents (kItems, count, inputs), channels padded -> wave (kItems, count * hop). The result does not depend on the number of threads.
    void run(const float* latents, int64_t count, float* wave, int threads);

  private:
    // Rows of all items that the stage before has made: `count` of them to be computed from, `known` to be seen.
    struct Rows {
        const float* first;
        int64_t item, count, known;
    };
    void begin();
    void through(size_t number, const Rows& in);
    void convolve(Convolution& convolution, const float* in, int64_t in_item, int64_t known, float* out, int64_t out_item, const float* residual,
                  int64_t rows);
    void finish(const Rows& in);

    std::mutex turn_;
    Memory<float> last_past_;  // (kItems, taps - 1, channels)
    float* wave_ = nullptr;
    int64_t samples_ = 0, done_ = 0;
    int threads_ = 1;
};

}  // namespace codec
