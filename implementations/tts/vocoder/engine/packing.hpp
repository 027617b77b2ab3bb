// Weights as the kernel reads them: at Toom and Cook's points, in panels, in floats or in integers with a scale per point and channel.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "kernel.hpp"

namespace vocoder {

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
template <class T> using Memory = std::unique_ptr<T[], Free>;

// Zeroed, and aligned to the widest vector.
template <class T> Memory<T> allocate(int64_t count) {
    const size_t bytes = (static_cast<size_t>(count) * sizeof(T) + 63) / 64 * 64 + 64;
    void* memory = std::aligned_alloc(64, bytes);
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, bytes);
    return Memory<T>(static_cast<T*>(memory));
}

// Memory that is kept from call to call and grows when it has to; what it holds is not defined.
template <class T> class Room {
  public:
    T* of(int64_t count) {
        if (count > count_) {
            memory_ = allocate<T>(count);
            count_ = count;
        }
        return memory_.get();
    }

  private:
    Memory<T> memory_;
    int64_t count_ = 0;
};

inline int padded(int channels, int lanes) { return (channels + lanes - 1) / lanes * lanes; }

// A convolution's weights as a plain array (outputs, inputs, taps), channels not padded.
struct Plain {
    int outputs, inputs, taps;
    std::vector<float> weights, bias;
};

struct Packed {
    Layer layer{};
    Memory<uint32_t> weights;
    Memory<float> scales, shifts, bias;
    int64_t bytes = 0;  // of weights, scales, shifts and biases
};

Packed pack(const Plain& plain, int dilation, float slope, int bits, int lanes);

// A transposed convolution (inputs, outputs, taps) as a plain one, each of whose rows holds the `rate` steps that it becomes.
// width: channels of a step, padded.
Plain upsampling(const float* weights, const float* bias, int inputs, int outputs, int taps, int rate, int width);

}  // namespace vocoder
