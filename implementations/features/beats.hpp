// The recursion of the beat tracker (Ellis 2007): the best way to have a beat at each frame.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace beats {

// scores: local score of each frame; period: frames per beat, a whole number. Fills the cumulative score and the frame of the beat before, or -1.
inline void track(const double* scores, int64_t count, double period, double tightness, double* cumulative, int32_t* before) {
    // From the nearest to the farthest, the first of equals wins.
    const auto nearest = static_cast<int64_t>(std::nearbyint(period / 2)), farthest = static_cast<int64_t>(2 * period);
    std::vector<double> penalty;
    for (int64_t lag = nearest; lag <= farthest; ++lag) {
        const double distance = std::log(static_cast<double>(lag)) - std::log(period);
        penalty.push_back(tightness * (distance * distance));
    }
    for (int64_t i = 0; i < count; ++i) {
        double best = -std::numeric_limits<double>::infinity();
        int64_t from = -1;
        for (int64_t lag = nearest; lag <= farthest && lag <= i; ++lag) {
            const double score = cumulative[i - lag] - penalty[static_cast<size_t>(lag - nearest)];
            if (score > best) best = score, from = i - lag;
        }
        cumulative[i] = from >= 0 ? scores[i] + best : scores[i];
        before[i] = static_cast<int32_t>(from);
    }
}

}  // namespace beats
