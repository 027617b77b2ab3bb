// The loops of the fixed-point method (see kernel.hpp): sums of whole numbers, in any order.
#include "simd.hpp"

#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace {

using dbn::Densities, dbn::Fixed, dbn::FIXED_BLOCK, dbn::GAIN_PADDING, dbn::Model, dbn::Rounding, dbn::Rows;

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

// FIXED_BLOCK numbers from 0 to 255.
template <class Value>
void to_bytes(const Value* from, uint8_t* to) {
    for (int i = 0; i < FIXED_BLOCK; ++i) to[i] = static_cast<uint8_t>(from[i]);
}

#if defined(__SSE2__)
void to_bytes(const int32_t* from, uint8_t* to) {
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
    uint8_t* levels = fixed.levels + block * ((model.tempi + 1) / 2) * step;  // rows of `step`, written FIXED_BLOCK at a time, first to last
    for (int tempo = 0; tempo < model.tempi; tempo += 2, levels += step) {
        const Value *even = fixed.scratch + tempo * FIXED_BLOCK, *odd = tempo + 1 < model.tempi ? even + FIXED_BLOCK : even;
        Value pairs[FIXED_BLOCK];
        for (int v = 0; v < VECTORS; ++v) {
            const auto level = [&](const Value* scores) {
                using Signed = typename Whole::Vector;  // which the least instruction sets can compare
                const Natural below = (Natural)best[v] - (Natural)Whole::load(scores + v * Whole::LANES);
                const Signed fine = (Signed)(below >> fixed.level_shift);
                const Signed coarse = (Signed)(below >> (fixed.level_shift + dbn::COARSER)) + dbn::FINE_LEVELS;
                const Signed finer = fine < coarse ? fine : coarse;
                return finer < dbn::LAST_LEVEL ? finer : Signed{} + dbn::LAST_LEVEL;
            };
            Whole::store(pairs + v * Whole::LANES, level(even) | level(odd) << 4);
        }
        to_bytes(pairs, levels);
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
extern const FixedKernel fixed;
const FixedKernel fixed{{::fixed<int32_t>, gains<int32_t>}, {WIDTH > 16 ? ::fixed<int64_t> : nullptr, gains<int64_t>}};
}  // namespace dbn::LEVEL
