// A HiFi-GAN generator, packed for one dispatch level: stage by stage, each in tiles of time that one thread takes through all
// residual blocks while they are in its cache.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "kernel.hpp"
#include "packing.hpp"
#include "threads.hpp"

namespace vocoder {

// The convolutions of a residual block in their order; pairs: each second one closes a residual connection, otherwise every one does.
struct ResidualBlock {
    std::vector<Packed> layers;
    int64_t reach = 0;  // steps on either side
};

struct Stage {
    int rate = 0, channels = 0;  // padded
    int64_t reach = 0;           // of the longest block
    Packed up;
    std::vector<ResidualBlock> blocks;
};

struct Generator {
    const Level* level = nullptr;
    bool pairs = false;
    Packed first;
    std::vector<Stage> stages;
    int mels = 0, last_taps = 0;
    Memory<float> last_weights;  // (taps, channels)
    float last_bias = 0;
    int64_t bytes = 0;

    int64_t hop() const;
};

// What one thread works in.
struct Arena {
    Room<float> entered, current, between, total;
    Room<char> scratch;
};

// Runs one generator; calls take turns.
class Vocoder {
  public:
    explicit Vocoder(Generator generator) : generator_(std::move(generator)) {}

    // mel (frames, mels) -> wave (frames * hop,). The result does not depend on the number of threads.
    void run(const float* mel, int64_t frames, float* wave, int threads);
    // Gives back the buffers that calls work in, which are kept otherwise; the next call takes new ones.
    void release();
    const Generator& generator() const { return generator_; }

  private:
    void share(int64_t tasks, const std::function<void(int64_t, Arena&)>& body);
    void stage(const Stage& stage, const Rows& in, const Rows& out, float* wave);
    void tile(const Stage& stage, const Rows& in, const Rows& out, int64_t begin, int64_t end, Arena& arena) const;
    void convolve(const Packed& packed, const Rows& in, const Rows& out, const Rows& residual, const Rows& total, Arena& arena) const;

    Generator generator_;
    std::mutex turn_;
    std::unique_ptr<ThreadPool> pool_;
    int owner_ = 0;  // process: a forked child has none of the threads
    std::vector<Arena> arenas_;
    Room<float> mel_, rows_[2];
};

}  // namespace vocoder
