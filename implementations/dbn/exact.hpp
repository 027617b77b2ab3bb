// The exact decoder: madmom's own sums and comparisons, with one byte per entry to find the way back.
#pragma once

#include "path.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace dbn {

template <class Choice, class Run>
Decoded decode_exact(const Model& model, const Densities& densities, Run run, const ExactKernel& kernel) {
    const int64_t step = std::min(EXACT_BLOCK, model.shortest), window = 256 / step * step + step;
    const int64_t frames = densities.frames, blocks = (frames + step - 1) / step;
    const Rows<double> shape{nullptr, model.longest + window + EXACT_BLOCK, -model.longest};
    std::vector<double> scores(chains(model) * shape.stride, model.log_initial);  // before frame 0 every state is equally likely
    std::vector<double> scratch(chains(model) * EXACT_BLOCK);
    const Buffer<Choice> choices = allocate<Choice>(blocks * step * chains(model) + EXACT_BLOCK);

    Rows<double> rows{scores.data(), shape.stride, shape.first_frame};
    for (int64_t begin = 0; begin < frames; begin += window) {
        if (begin > 0) {
            rows.first_frame += window;
            for (int64_t c = 0; c < chains(model); ++c)
                std::memmove(rows.at(c, begin - model.longest), rows.at(c, begin - model.longest + window), model.longest * sizeof(double));
        }
        run(model, densities, rows, begin, std::min(begin + window, frames), scratch.data(), choices.get());
    }

    const State best = kernel.last(model, densities, rows, scratch.data());
    Decoded decoded{{}, best.score, "exact"};
    if (std::isinf(best.score)) return decoded;
    Entry entry{best.entry, best.beat, best.tempo};
    while (true) {
        decoded.entries.push_back(entry);
        if (entry.frame < 0) return decoded;
        const int64_t block = entry.frame / step * chains(model) + chain(model, entry.beat, entry.tempo);
        const int source = choices[block * step + entry.frame % step];
        entry = Entry{entry.frame - model.intervals[source], beat_before(model, entry.beat), source};
    }
}

inline Decoded decode_exact(const Model& model, const Densities& densities, const ExactKernel& kernel) {
    if (model.tempi <= 256) return decode_exact<uint8_t>(model, densities, kernel.run8, kernel);
    return decode_exact<uint16_t>(model, densities, kernel.run16, kernel);
}

}  // namespace dbn
