// Tables of one sample rate and hop, made once for a level.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel.hpp"
#include "twiddles.hpp"

namespace plan {

struct Plan {
    const Level* level;
    Tables tables{};
    std::vector<int32_t> at, spread, place, mel_first, mel_offset;
    std::vector<double> window;
    std::vector<float> window32, scale32, hann, norm, mel_weight;

    // taper: (2048). mel: (128, 1025), each row zero but for one run.
    Plan(const Level& level, double rate, int32_t hop, const double* taper, const float* mel) : level(&level) {
        if (hop != 512 && hop != 1024) throw std::invalid_argument("hop: expected 512 or 1024 samples, found " + std::to_string(hop));
        tables.rate = rate, tables.hop = hop;
        tables.stride = (kBlock + kFrame / hop - 1) | 1;  // odd: rows 64 apart, which are read together, fall into different cache sets
        for (int n2 = 0; n2 < 64; ++n2)
            for (int n1 = 0; n1 < 32; ++n1) {
                const int n = n2 + 64 * n1;
                at.push_back(n % hop * tables.stride + n / hop);
                spread.push_back(n + n / 64);
                window.push_back(taper[n]);
                window32.push_back(static_cast<float>(taper[n]));
                scale32.push_back(1.0f / kFrame);
            }
        for (int n = 0; n < kFrame; ++n) hann.push_back(static_cast<float>(taper[n]));
        for (int there = 0; there < 16; ++there)
            for (int m = 0; m < kSegment; ++m) {
                double sum = 0;
                for (int j = 0; j < 4; ++j)
                    if (there >> j & 1) sum += taper[m + kSegment * j] * taper[m + kSegment * j];
                norm.push_back(sum > 1.17549435e-38 ? static_cast<float>(1 / sum) : 1.0f);
            }
        place = places();
        for (int band = 0; band < kMels; ++band) {
            const float* row = mel + band * kBins;
            int first = 0, last = kBins;
            while (first < kBins && row[first] == 0) ++first;
            while (last > first && row[last - 1] == 0) --last;
            mel_first.push_back(first < kBins ? first : 0);
            mel_offset.push_back(static_cast<int32_t>(mel_weight.size()));
            mel_weight.insert(mel_weight.end(), row + first, row + last);
        }
        mel_offset.push_back(static_cast<int32_t>(mel_weight.size()));
        const double spacing = rate / kFrame, high = std::min(4000.0, rate / 2);
        tables.pitch_first = static_cast<int32_t>(std::ceil(150.0 / spacing));
        tables.pitch_last = std::min(static_cast<int32_t>(std::ceil(high / spacing)) - 1, kBins - 2);
        tables.at = at.data(), tables.spread = spread.data(), tables.place = place.data();
        tables.window = window.data(), tables.window32 = window32.data(), tables.scale32 = scale32.data();
        tables.hann = hann.data(), tables.norm = norm.data();
        tables.mel_first = mel_first.data(), tables.mel_offset = mel_offset.data(), tables.mel_weight = mel_weight.data();
        tables.twiddles = twiddles<double>(), tables.twiddles32 = twiddles<float>();
    }
    Plan(const Plan&) = delete;

    int64_t most_peaks(int64_t frames) const { return frames * (std::max(0, tables.pitch_last - tables.pitch_first + 1) / 2 + 1); }
};

}  // namespace plan
