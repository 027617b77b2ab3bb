// The weights of a resampler, made once for a ratio from a low-pass filter at the common multiple of both rates.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "resampler.hpp"

class ResamplerPlan {
  public:
    // up / down: new rate over old, without a common divisor. filter: (2 n + 1), symmetric, of which every up-th value meets an input.
    ResamplerPlan(int32_t up, int32_t down, const float* filter, int64_t size) {
        if (up < 1 || down < 1 || size % 2 == 0) throw std::invalid_argument("resampler: expected rates above 0 and a filter of odd length");
        const int64_t half = size / 2, longer = std::max<int64_t>(1, kLeastInputs / down);
        made_.outputs = static_cast<int32_t>(up * longer), made_.inputs = static_cast<int32_t>(down * longer);
        made_.groups = (made_.outputs + kTogether - 1) / kTogether;
        made_.before = static_cast<int32_t>(half / up);
        const auto from = [&](int64_t output) { return ceiling(output * down - half, up); };  // the first input that output needs
        const auto end = [&](int64_t output) { return floor(output * down + half, up) + 1; };
        for (int64_t g = 0; g < made_.groups; ++g)
            made_.taps = std::max<int32_t>(made_.taps, static_cast<int32_t>(end(g * kTogether + kTogether - 1) - from(g * kTogether)));
        weight_.assign(static_cast<size_t>(made_.groups) * made_.taps * kTogether, 0.0f);
        for (int64_t g = 0; g < made_.groups; ++g) {
            const int64_t begin = from(g * kTogether);
            first_.push_back(static_cast<int32_t>(begin + made_.before));
            for (int64_t j = 0; j < kTogether; ++j) {
                const int64_t output = g * kTogether + j;
                for (int64_t input = from(output); input < end(output); ++input)
                    weight_[static_cast<size_t>((g * made_.taps + input - begin) * kTogether + j)] = filter[half + output * down - input * up];
            }
        }
        made_.rows = first_.back() + made_.taps;
        made_.first = first_.data(), made_.weight = weight_.data();
    }
    ResamplerPlan(const ResamplerPlan&) = delete;

    const Resampler& made() const { return made_; }
    int64_t outputs(int64_t samples) const { return ceiling(samples * made_.outputs, made_.inputs); }

  private:
    static constexpr int32_t kLeastInputs = 256;  // in a period: what neighbouring periods share is gathered for each of them

    static int64_t floor(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
    static int64_t ceiling(int64_t a, int64_t b) { return -floor(-a, b); }

    Resampler made_{};
    std::vector<int32_t> first_;
    std::vector<float> weight_;
};
