// The hot loops, compiled once per dispatch level (see kernel.hpp). SIMD lanes are consecutive frames.
//
// Nothing here may be an inline function with external linkage (std::max, std::vector): the linker would keep one copy of it,
// perhaps the one compiled for a processor that is not this one.
#include "kernel.hpp"

#include <cstring>
#include <limits>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

using dbn::Densities, dbn::EXACT_BLOCK, dbn::Fixed, dbn::FIXED_BLOCK, dbn::GAIN_PADDING, dbn::Model, dbn::Rounding, dbn::Rows, dbn::State;

// As wide as the registers: wider vectors are split through memory, many times slower.
#if defined(LEVEL_avx512)
constexpr int WIDTH = 64;
#elif defined(LEVEL_avx2)
constexpr int WIDTH = 32;
#else
constexpr int WIDTH = 16;
#endif

template <class Value, int BYTES = WIDTH>
struct Simd {
    typedef Value Vector __attribute__((vector_size(BYTES)));
    static constexpr int LANES = BYTES / sizeof(Value);

    static Vector load(const Value* from) {
        Vector v;
        std::memcpy(&v, from, sizeof v);
        return v;
    }
    static void store(Value* to, Vector v) { std::memcpy(to, &v, sizeof v); }
};

using Double = Simd<double>;
using Vector = Double::Vector;
using Index = Simd<long long>::Vector;

constexpr int smaller(int a, int b) { return a < b ? a : b; }

// Exact: sums in madmom's order.

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

// Fixed point: sums of whole numbers, in any order.

template <class Value>
bool gains(const Densities& densities, const Rounding& rounding, int beat, int64_t begin, int64_t count, int lengths, double* scratch,
           Value* const* rows) {
    double* delta = scratch;
    const double *head = densities.head(beat) + begin, *none = densities.by_class[0] + begin;
    for (int64_t i = 0; i < count + lengths + GAIN_PADDING; ++i) {
        const double beats = head[i] > -rounding.impossible_beat ? head[i] : -rounding.impossible_beat;
        const double no_beat = none[i] > -rounding.impossible_no_beat ? none[i] : -rounding.impossible_no_beat;
        delta[i] = begin + i >= 0 && begin + i < densities.frames ? beats - no_beat : 0;
    }
    using Whole = typename Simd<Value, Double::LANES * sizeof(Value)>::Vector;
    const Vector least = Vector{} + rounding.least, most = Vector{} + rounding.most;
    Index large = {};
    for (int64_t i = 0; i < count; i += Double::LANES) {
        Vector sum = {};
        for (int length = 1; length <= lengths; ++length) {
            sum += Double::load(delta + i + length - 1);
            if (rows[length] == nullptr) continue;
            Vector units = sum * rounding.units_per_nat;
            large |= ~(units <= most);  // NaN, too
            units = units <= most ? units : most;
            units = units >= least ? units : least;
            const Whole down = __builtin_convertvector(units, Whole);
            const Whole up = down - __builtin_convertvector(__builtin_convertvector(down, Vector) < units, Whole);  // true is -1
            std::memcpy(rows[length] + i, &up, sizeof up);
        }
    }
    for (int lane = 0; lane < Double::LANES; ++lane)
        if (large[lane]) return false;
    return true;
}

// The best scores at the entries of TARGETS tempi from `tempo` on, each with its gain added.
template <int TARGETS, class Value>
void enter_fixed(const Model& model, const Fixed<Value>& fixed, int tempo, const Value* const* gains, int64_t frame, Value* out,
                 int64_t out_stride, Value* highest) {
    using Whole = Simd<Value>;
    constexpr int ALL = FIXED_BLOCK / Whole::LANES, VECTORS = smaller(ALL, TARGETS >= 4 ? 2 : 4);
    int begin = model.tempi, end = 0;
    for (int t = tempo; t < tempo + TARGETS; ++t) {
        if (model.sources[2 * t] < begin) begin = model.sources[2 * t];
        if (model.sources[2 * t + 1] > end) end = model.sources[2 * t + 1];
    }
    for (int offset = 0; offset < FIXED_BLOCK; offset += VECTORS * Whole::LANES) {
        typename Whole::Vector best[TARGETS][VECTORS];
        for (int t = 0; t < TARGETS; ++t)
            for (int v = 0; v < VECTORS; ++v) best[t][v] = typename Whole::Vector{} + fixed.floor;
        const Value* transition = fixed.transitions + static_cast<int64_t>(begin) * model.tempi + tempo;
        const Value* scores = fixed.scratch + begin * FIXED_BLOCK + offset;
        for (int source = begin; source < end; ++source) {
            for (int v = 0; v < VECTORS; ++v) {
                const typename Whole::Vector score = Whole::load(scores + v * Whole::LANES);
                for (int t = 0; t < TARGETS; ++t) {
                    const typename Whole::Vector candidate = score + transition[t];
                    best[t][v] = candidate > best[t][v] ? candidate : best[t][v];
                }
            }
            transition += model.tempi;
            scores += FIXED_BLOCK;
        }
        for (int v = 0; v < VECTORS; ++v) {
            const int64_t lane = offset + v * Whole::LANES;
            typename Whole::Vector top = Whole::load(highest + lane);
            for (int t = 0; t < TARGETS; ++t) {
                const typename Whole::Vector score = best[t][v] + Whole::load(gains[t] + (frame - fixed.gains_begin) + lane);
                Whole::store(out + t * out_stride + lane, score);
                top = score > top ? score : top;
            }
            Whole::store(highest + lane, top);
        }
    }
}

// FIXED_BLOCK numbers that are not negative, those above 255 as 255.
template <class Value>
void to_bytes(const Value* from, uint8_t* to) {
    for (int i = 0; i < FIXED_BLOCK; ++i) to[i] = static_cast<uint8_t>(from[i] < 255 ? from[i] : 255);
}

#if defined(__SSE2__)
void to_bytes(const int32_t* from, uint8_t* to) {  // these are below 2^15, too
    static_assert(FIXED_BLOCK == 16, "");
    const __m128i* four = reinterpret_cast<const __m128i*>(from);
    const __m128i low = _mm_packs_epi32(_mm_loadu_si128(four), _mm_loadu_si128(four + 1));
    const __m128i high = _mm_packs_epi32(_mm_loadu_si128(four + 2), _mm_loadu_si128(four + 3));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(low, high));
}
#endif

// Copies the scores of the chains that lead to `beat` in `frame` and the next frames into the scratch, and keeps what is kept of them.
template <class Value>
void take_scores(const Model& model, const Fixed<Value>& fixed, const Rows<Value>& rows, int beat, int64_t frame, int step) {
    using Whole = Simd<Value>;
    using Natural = typename Simd<std::make_unsigned_t<Value>>::Vector;
    constexpr int VECTORS = FIXED_BLOCK / Whole::LANES;
    const int64_t before = static_cast<int64_t>(beat == 0 ? model.beats - 1 : beat - 1) * model.tempi;
    const int64_t block = frame / step * model.beats + beat;
    typename Whole::Vector best[VECTORS];
    for (int v = 0; v < VECTORS; ++v) best[v] = typename Whole::Vector{} + std::numeric_limits<Value>::min();
    for (int tempo = 0; tempo < model.tempi; ++tempo) {
        const Value* from = rows.at(before + tempo, frame - model.intervals[tempo]);
        for (int v = 0; v < VECTORS; ++v) {
            const typename Whole::Vector score = Whole::load(from + v * Whole::LANES);
            Whole::store(fixed.scratch + tempo * FIXED_BLOCK + v * Whole::LANES, score);
            best[v] = score > best[v] ? score : best[v];
        }
    }
    Value best_lanes[FIXED_BLOCK];
    for (int v = 0; v < VECTORS; ++v) Whole::store(best_lanes + v * Whole::LANES, best[v]);
    std::memcpy(fixed.best + block * step, best_lanes, step * sizeof(Value));
    uint8_t* levels = fixed.levels + block * model.tempi * step;  // rows of `step`, written FIXED_BLOCK at a time, first to last
    for (int tempo = 0; tempo < model.tempi; ++tempo, levels += step) {
        Value below[FIXED_BLOCK];
        for (int v = 0; v < VECTORS; ++v) {
            const Natural score = (Natural)Whole::load(fixed.scratch + tempo * FIXED_BLOCK + v * Whole::LANES);
            Whole::store(below + v * Whole::LANES, (typename Whole::Vector)(((Natural)best[v] - score) >> fixed.level_shift));
        }
        to_bytes(below, levels);
    }
}

template <class Value>
int64_t fixed(const Model& model, const Fixed<Value>& fixed, const Rows<Value>& rows, int64_t begin, int64_t end) {
    constexpr int TARGETS = 4;
    const int step = smaller(FIXED_BLOCK, model.shortest);
    Value of_block = fixed.low, of_last_block = fixed.low;
    for (int64_t frame = begin; frame < end; frame += step) {
        Value highest[FIXED_BLOCK];
        for (int lane = 0; lane < FIXED_BLOCK; ++lane) highest[lane] = std::numeric_limits<Value>::min();
        for (int beat = 0; beat < model.beats; ++beat) {
            take_scores(model, fixed, rows, beat, frame, step);
            for (int tempo = 0; tempo < model.tempi;) {
                const int64_t chain = static_cast<int64_t>(beat) * model.tempi + tempo;
                const Value* const* gain = fixed.gains + chain;
                Value* out = rows.at(chain, frame);
                if (tempo + TARGETS <= model.tempi) {
                    enter_fixed<TARGETS>(model, fixed, tempo, gain, frame, out, rows.stride, highest);
                    tempo += TARGETS;
                } else {
                    enter_fixed<1>(model, fixed, tempo, gain, frame, out, rows.stride, highest);
                    tempo += 1;
                }
            }
        }
        of_last_block = of_block;
        of_block = std::numeric_limits<Value>::min();
        for (int lane = 0; lane < step; ++lane) of_block = highest[lane] > of_block ? highest[lane] : of_block;
        if (of_block > fixed.high || (of_block < fixed.low && of_last_block < fixed.low)) return frame + step < end ? frame + step : end;
    }
    return end;
}

}  // namespace

namespace dbn::LEVEL {
extern const Kernel kernel;
const Kernel kernel{exact<uint8_t>, exact<uint16_t>, exact_last, fixed<int32_t>, WIDTH > 16 ? fixed<int64_t> : nullptr, gains<int32_t>, gains<int64_t>};
}  // namespace dbn::LEVEL
