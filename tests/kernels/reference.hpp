// What the kernels compute, in plain scalar code and double.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdint>
#include <vector>

namespace reference {

constexpr double kPi = 3.14159265358979323846;
using Spectrum = std::vector<std::complex<double>>;

// Discrete Fourier transform of a power of two of values, by halves.
inline Spectrum fft(const Spectrum& values) {
    const size_t n = values.size();
    if (n == 1) return values;
    Spectrum even(n / 2), odd(n / 2), found(n);
    for (size_t i = 0; i < n / 2; ++i) even[i] = values[2 * i], odd[i] = values[2 * i + 1];
    even = fft(even), odd = fft(odd);
    for (size_t k = 0; k < n / 2; ++k) {
        const auto turned = std::polar(1.0, -2 * kPi * static_cast<double>(k) / static_cast<double>(n)) * odd[k];
        found[k] = even[k] + turned;
        found[k + n / 2] = even[k] - turned;
    }
    return found;
}

inline std::vector<double> hann(int count) {
    std::vector<double> window;
    for (int n = 0; n < count; ++n) window.push_back(0.5 - 0.5 * std::cos(2 * kPi * n / count));
    return window;
}

// All bins of the frame of window.size() samples that begins at sample `begin`, zeros outside.
template <class Sample> Spectrum spectrum(const Sample* samples, int64_t count, int64_t begin, const std::vector<double>& window) {
    Spectrum frame(window.size());
    for (size_t i = 0; i < window.size(); ++i) {
        const int64_t at = begin + static_cast<int64_t>(i);
        frame[i] = at >= 0 && at < count ? window[i] * static_cast<double>(samples[at]) : 0.0;
    }
    return fft(frame);
}

// Of a sequence that is reflected at both ends: ... 1 0 | 0 1 ... n - 1 | n - 1 ...
inline int64_t reflected(int64_t i, int64_t n) {
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

// Running medians of 31 values: at(i) gives number i of n.
template <class At> std::vector<float> medians(int64_t n, At at) {
    std::vector<float> found;
    for (int64_t centre = 0; centre < n; ++centre) {
        std::vector<float> window;
        for (int64_t i = centre - 15; i <= centre + 15; ++i) window.push_back(at(reflected(i, n)));
        std::nth_element(window.begin(), window.begin() + 15, window.end());
        found.push_back(window[15]);
    }
    return found;
}

}  // namespace reference
