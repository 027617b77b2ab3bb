// Tables that do not change between calls, made once per sample rate, type of samples and level.
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
    std::vector<int32_t> at, place, offset;
    std::vector<double> window;
    std::vector<float> window32, weight;

    // filterbank: (1024, bands)
    Plan(const Level& level, double hop, const double* taper, const float* filterbank, int32_t bands) : level(&level) {
        if (!(hop >= 1)) throw std::invalid_argument("hop: expected 1 sample or more, found " + std::to_string(hop));
        lay_out(hop, taper);
        const std::vector<int32_t> places = ::places();
        for (int32_t band = 0; band < bands; ++band) {
            offset.push_back(static_cast<int32_t>(weight.size()));
            for (int32_t bin = 0; bin < kFrame / 2; ++bin) {
                const float value = filterbank[static_cast<int64_t>(bin) * bands + band];
                if (value == 0) continue;
                weight.push_back(value);
                place.push_back(places[bin] * level.frames);
                tables.high = std::max(tables.high, bin + 1);
            }
        }
        offset.push_back(static_cast<int32_t>(weight.size()));
        tables.bands = bands;
        tables.place = place.data(), tables.offset = offset.data(), tables.weight = weight.data();
        tables.twiddles = ::twiddles<double>(), tables.twiddles32 = ::twiddles<float>();
    }
    Plan(const Plan&) = delete;

  private:
    // Samples are transposed, one column per frame, for vectors of neighbouring frames. With a whole hop, frame j at sample n is
    // frame j + 1 at n - hop, so that hop rows of a few more columns hold all: 3.7 times fewer values to move at 44.1 kHz than 2048 rows.
    void lay_out(double hop, const double* taper) {
        const int frames = level->frames;
        tables.hop = hop;
        tables.shared = hop == std::floor(hop) && hop >= frames && hop < kFrame;
        tables.period = tables.shared ? static_cast<int64_t>(hop) : kFrame;
        tables.used = frames + static_cast<int32_t>((kFrame - 1) / tables.period);
        tables.stride = tables.used | 1;  // odd: rows 64 apart, which are read together, fall into different cache sets
        for (int n2 = 0; n2 < 64; ++n2)
            for (int n1 = 0; n1 < 32; ++n1) {
                const int n = 64 * n1 + n2;
                at.push_back(static_cast<int32_t>(n % tables.period * tables.stride + n / tables.period));
                window.push_back(taper[n]);
                window32.push_back(static_cast<float>(taper[n]));
            }
        tables.at = at.data(), tables.window = window.data(), tables.window32 = window32.data();
    }
};

}  // namespace plan
