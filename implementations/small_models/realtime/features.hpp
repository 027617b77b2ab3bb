// From a window of audio to what the models take: the logarithm of the energy in 128 bands of equal width in mel.
//
// The source document names neither transform nor scale, so this is a front end of our own, and no part of what is compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstddef>
#include <vector>

namespace small_models {

class Features {
  public:
    static constexpr size_t BANDS = 128;

    Features(size_t window, double rate) : taper_(window), size_(2) {
        constexpr double pi = 3.14159265358979323846;
        while (size_ < window) size_ *= 2;
        for (size_t i = 0; i < window; ++i)
            taper_[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * pi * static_cast<double>(i) / static_cast<double>(window)));
        turns_.resize(size_ / 2);
        for (size_t i = 0; i < turns_.size(); ++i)
            turns_[i] = std::polar(1.0f, static_cast<float>(-2 * pi * static_cast<double>(i) / static_cast<double>(size_)));
        work_.resize(size_);
        // Band b rises from edge b to edge b + 1 and falls to edge b + 2.
        const double highest = mel(std::min(16000.0, rate / 2));
        for (size_t i = 0; i < BANDS + 2; ++i)
            edges_.push_back(hertz(highest * static_cast<double>(i) / (BANDS + 1)) * static_cast<double>(size_) / rate);
    }

    // `window` samples in, BANDS features out, about 0 to 1.5. Allocates nothing.
    void operator()(const float* audio, float* features) {
        for (size_t i = 0; i < size_; ++i) work_[i] = i < taper_.size() ? audio[i] * taper_[i] : 0.0f;
        transform();
        const float scale = 1.0f / static_cast<float>(taper_.size());
        for (size_t b = 0; b < BANDS; ++b) {
            const double low = edges_[b], middle = edges_[b + 1], high = edges_[b + 2];
            const auto first = static_cast<size_t>(std::ceil(low)), last = std::min(size_ / 2, static_cast<size_t>(std::floor(high)));
            float energy = 0;
            for (size_t k = first; k <= last; ++k) {
                const double bin = static_cast<double>(k);
                const double weight = bin < middle ? (bin - low) / (middle - low) : (high - bin) / (high - middle);
                energy += static_cast<float>(weight) * std::norm(work_[k]) * scale;
            }
            features[b] = std::log10(1.0f + 1000.0f * energy) / 4.0f;
        }
    }

  private:
    static double mel(double hertz) { return 2595.0 * std::log10(1.0 + hertz / 700.0); }
    static double hertz(double mel) { return 700.0 * (std::pow(10.0, mel / 2595.0) - 1.0); }

    // Radix 2, in place: bits of the index reversed, then butterflies of growing width.
    void transform() {
        for (size_t i = 1, j = 0; i < size_; ++i) {
            size_t bit = size_ / 2;
            for (; j & bit; bit /= 2) j ^= bit;
            j ^= bit;
            if (i < j) std::swap(work_[i], work_[j]);
        }
        for (size_t width = 2; width <= size_; width *= 2)
            for (size_t start = 0; start < size_; start += width)
                for (size_t k = 0; k < width / 2; ++k) {
                    const std::complex<float> turn = turns_[k * (size_ / width)], odd = work_[start + k + width / 2];
                    // Written out: the library's product also mends infinities.
                    const std::complex<float> turned{turn.real() * odd.real() - turn.imag() * odd.imag(),
                                                     turn.real() * odd.imag() + turn.imag() * odd.real()};
                    const std::complex<float> even = work_[start + k];
                    work_[start + k] = even + turned;
                    work_[start + k + width / 2] = even - turned;
                }
    }

    std::vector<float> taper_;
    size_t size_;
    std::vector<std::complex<float>> turns_, work_;
    std::vector<double> edges_;
};

}  // namespace small_models
