// The loops of the exact method (see kernel.hpp): madmom's sums in madmom's order.
#include "simd.hpp"

namespace {

using dbn::Densities, dbn::EXACT_BLOCK, dbn::Model, dbn::Rows, dbn::State;

// Scores of the last states of the chains of `tempo` in `BEATS` beats, for entries in `entry` and the following frames:
// out (BEATS, stride of out). One load of the no-beat density serves all beats.
template <int BEATS, int VECTORS>
void run_chains(const Model& model, const Densities& densities, const Rows<double>& rows, int beat, int tempo, int64_t entry, double* out,
                int64_t out_stride) {
    constexpr int STEP = VECTORS * Double::LANES;
    static_assert(EXACT_BLOCK % STEP == 0, "");
    const int interval = model.intervals[tempo];
    for (int offset = 0; offset < EXACT_BLOCK; offset += STEP) {
        const double* none = densities.by_class[0] + entry + offset;
        Vector score[BEATS][VECTORS];
        int longest_head = 1;
        for (int b = 0; b < BEATS; ++b) {
            const int head = model.heads[(beat + b) * model.tempi + tempo];
            if (head > longest_head) longest_head = head;
        }
        for (int b = 0; b < BEATS; ++b) {
            const int chain = (beat + b) * model.tempi + tempo;
            const double* start = rows.at(chain, entry + offset);
            const double* beats = densities.head(beat + b) + entry + offset;
            for (int v = 0; v < VECTORS; ++v) score[b][v] = Double::load(start + v * Double::LANES);
            for (int position = 1; position < longest_head; ++position) {
                const double* from = (position < model.heads[chain] ? beats : none) + position;
                for (int v = 0; v < VECTORS; ++v) score[b][v] += Double::load(from + v * Double::LANES);
            }
        }
        for (int position = longest_head; position < interval; ++position)
            for (int v = 0; v < VECTORS; ++v) {
                const Vector density = Double::load(none + position + v * Double::LANES);
                for (int b = 0; b < BEATS; ++b) score[b][v] += density;
            }
        for (int b = 0; b < BEATS; ++b)
            for (int v = 0; v < VECTORS; ++v) Double::store(out + b * out_stride + offset + v * Double::LANES, score[b][v]);
    }
}

// The same for all beats: enough independent sums at a time to hide the latency of an addition, few enough to stay in registers.
void run_all_chains(const Model& model, const Densities& densities, const Rows<double>& rows, int tempo, int64_t entry, double* out,
                    int64_t out_stride) {
    constexpr int FEW = WIDTH == 64 ? 3 : 2, SOME = 3, MANY = WIDTH == 64 ? 3 : 6;
    int beat = 0;
    for (; beat + 4 <= model.beats; beat += 4)
        run_chains<4, FEW>(model, densities, rows, beat, tempo, entry, out + beat * out_stride, out_stride);
    out += beat * out_stride;
    switch (model.beats - beat) {
        case 3: return run_chains<3, FEW>(model, densities, rows, beat, tempo, entry, out, out_stride);
        case 2: return run_chains<2, SOME>(model, densities, rows, beat, tempo, entry, out, out_stride);
        case 1: return run_chains<1, MANY>(model, densities, rows, beat, tempo, entry, out, out_stride);
        default: return;
    }
}

// Entries into TARGETS tempi from `tempo` on: the best source, the lowest of equals, compared after the density is added, as madmom does.
template <int TARGETS, int VECTORS, class Choice>
void enter_exact(const Model& model, const double* last, const double* density, int tempo, double* out, int64_t out_stride, Choice* choices,
                 int step) {
    constexpr int STEP = VECTORS * Double::LANES;
    int begin = model.tempi, end = 0;
    for (int t = tempo; t < tempo + TARGETS; ++t) {
        if (model.sources[2 * t] < begin) begin = model.sources[2 * t];
        if (model.sources[2 * t + 1] > end) end = model.sources[2 * t + 1];
    }
    Choice chosen[TARGETS][EXACT_BLOCK];
    for (int offset = 0; offset < EXACT_BLOCK; offset += STEP) {
        Vector best[TARGETS][VECTORS], here[VECTORS];
        Index choice[TARGETS][VECTORS];
        for (int v = 0; v < VECTORS; ++v) {
            here[v] = Double::load(density + offset + v * Double::LANES);
            for (int t = 0; t < TARGETS; ++t) {
                best[t][v] = Vector{} - std::numeric_limits<double>::infinity();
                choice[t][v] = Index{};
            }
        }
        for (int source = begin; source < end; ++source) {
            const double* transition = model.log_transitions + static_cast<int64_t>(source) * model.tempi + tempo;
            for (int v = 0; v < VECTORS; ++v) {
                const Vector score = Double::load(last + source * EXACT_BLOCK + offset + v * Double::LANES);
                for (int t = 0; t < TARGETS; ++t) {
                    const Vector candidate = (score + transition[t]) + here[v];
                    const Index better = candidate > best[t][v];  // never true for NaN
                    best[t][v] = better ? candidate : best[t][v];
                    choice[t][v] = better ? Index{} + source : choice[t][v];
                }
            }
        }
        for (int t = 0; t < TARGETS; ++t)
            for (int v = 0; v < VECTORS; ++v) {
                Double::store(out + t * out_stride + offset + v * Double::LANES, best[t][v]);
                for (int lane = 0; lane < Double::LANES; ++lane)
                    chosen[t][offset + v * Double::LANES + lane] = static_cast<Choice>(choice[t][v][lane]);
            }
    }
    for (int t = 0; t < TARGETS; ++t) std::memcpy(choices + static_cast<int64_t>(t) * step, chosen[t], step * sizeof(Choice));
}

template <class Choice>
void exact(const Model& model, const Densities& densities, const Rows<double>& rows, int64_t begin, int64_t end, double* last,
           Choice* choices) {
    constexpr int TARGETS = WIDTH == 64 ? 3 : 2, VECTORS = WIDTH == 64 ? 3 : 2;
    const int step = smaller(EXACT_BLOCK, model.shortest);
    const int64_t beat_stride = static_cast<int64_t>(model.tempi) * EXACT_BLOCK;
    for (int64_t frame = begin; frame < end; frame += step) {
        for (int tempo = 0; tempo < model.tempi; ++tempo)
            run_all_chains(model, densities, rows, tempo, frame - model.intervals[tempo], last + tempo * EXACT_BLOCK, beat_stride);
        for (int beat = 0; beat < model.beats; ++beat) {
            const double* from = last + (beat == 0 ? model.beats - 1 : beat - 1) * beat_stride;
            const double* density = densities.head(beat) + frame;
            for (int tempo = 0; tempo < model.tempi;) {
                const int64_t chain = static_cast<int64_t>(beat) * model.tempi + tempo;
                Choice* chosen = choices + ((frame / step) * model.beats * model.tempi + chain) * step;
                double* out = rows.at(chain, frame);
                if (tempo + TARGETS <= model.tempi) {
                    enter_exact<TARGETS, VECTORS>(model, from, density, tempo, out, rows.stride, chosen, step);
                    tempo += TARGETS;
                } else {
                    enter_exact<1, VECTORS>(model, from, density, tempo, out, rows.stride, chosen, step);
                    tempo += 1;
                }
            }
        }
    }
}

State exact_last(const Model& model, const Densities& densities, const Rows<double>& rows, double* scores) {
    State best{0, 0, densities.frames - 1, -std::numeric_limits<double>::infinity()};
    // States are numbered by beat, tempo and position, and the latest entry has the lowest position. Scores are kept per beat,
    // because one run serves all beats.
    for (int beat = 0; beat < model.beats; ++beat)
        for (int tempo = 0; tempo < model.tempi; ++tempo) {
            const int64_t oldest = densities.frames - model.intervals[tempo];
            State of_chain{beat, tempo, 0, -std::numeric_limits<double>::infinity()};
            for (int64_t entry = oldest; entry < densities.frames; entry += EXACT_BLOCK) {
                run_chains<1, 1>(model, densities, rows, beat, tempo, entry, scores, 0);
                for (int lane = 0; lane < EXACT_BLOCK && entry + lane < densities.frames; ++lane)
                    if (scores[lane] >= of_chain.score) of_chain = State{beat, tempo, entry + lane, scores[lane]};
            }
            if (of_chain.score > best.score) best = of_chain;
        }
    return best;
}

}  // namespace

namespace dbn::LEVEL {
extern const ExactKernel exact;
const ExactKernel exact{::exact<uint8_t>, ::exact<uint16_t>, exact_last};
}  // namespace dbn::LEVEL
