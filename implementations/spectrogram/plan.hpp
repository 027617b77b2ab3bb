// Tables that do not change between calls, made once per sample rate, type of samples and level.
#pragma once

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel.hpp"

namespace plan {

template <class T> const Twiddles<T>* twiddles() {
    static const Twiddles<T> made = [] {
        static Twiddles<T> t;
        const auto set = [](T(&at)[2], int k, int n) {
            const double angle = -2.0 * 3.14159265358979323846 * k / n;
            at[0] = static_cast<T>(std::cos(angle));
            at[1] = static_cast<T>(std::sin(angle));
        };
        for (int i = 0; i < 16; ++i)
            for (int n = 0; n < 64; ++n) set(t.row[i][n], i < 15 ? kResidues[i] * n : 0, kFrame);
        for (int b = 0; b < 8; ++b)
            for (int c = 0; c < 8; ++c) set(t.inner[b][c], b * c, 64);
        for (int j = 0; j < 33; ++j) set(t.packed[j], j, 128);
        return t;
    }();
    return &made;
}

// The place of each bin among the transform's outputs.
inline std::vector<int32_t> places() {
    std::vector<int32_t> place(kFrame / 2);
    for (int i = 0; i < 15; ++i)
        for (int k = 0; k < 64; ++k) {
            const int index = kResidues[i] + 32 * k;
            place[index < kFrame / 2 ? index : kFrame - index] = i * kPlaceRow + 8 * (k % 8) + k / 8;
        }
    for (int j = 0; j < 64; ++j) place[16 * j] = 15 * kPlaceRow + j;
    return place;
}

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
        const std::vector<int32_t> places = plan::places();
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
        tables.twiddles = twiddles<double>(), tables.twiddles32 = twiddles<float>();
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
