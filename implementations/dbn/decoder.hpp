// The best path through one bar length, equal to madmom's in every decision and its log-probability in every bit.
//
// Fast: scores in fixed point, where adding is exact and a whole chain costs one addition. Only the best score of each entry is
// kept; the path is found by computing window after window again, last one first. On the way every decision is certified: the
// second best must be worse by more than all rounding together, madmom's included. Then madmom decides the same.
// Exact: madmom's own sums, for whatever cannot be certified (ties, no possible path, scores out of range).
#pragma once

#include "kernel.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dbn {

struct Entry {
    int64_t frame;  // of the chain's first state; negative if the chain is under way in frame 0
    int beat, tempo;
};

struct Decoded {
    std::vector<Entry> entries;  // latest first; empty if no path is possible
    double log_probability;
    const char* method;
};

inline int64_t chains(const Model& model) { return static_cast<int64_t>(model.beats) * model.tempi; }
inline int64_t chain(const Model& model, int beat, int tempo) { return static_cast<int64_t>(beat) * model.tempi + tempo; }
inline int beat_before(const Model& model, int beat) { return (beat == 0 ? model.beats : beat) - 1; }

// Exact.

template <class Choice, class Forward>
Decoded decode_exact(const Model& model, const Densities& densities, Forward forward, decltype(Kernel::exact_last) last) {
    const int64_t step = std::min(EXACT_BLOCK, model.shortest), window = 256 / step * step + step;
    const int64_t frames = densities.frames, blocks = (frames + step - 1) / step;
    const Rows<double> shape{nullptr, model.longest + window + EXACT_BLOCK, -model.longest};
    std::vector<double> scores(chains(model) * shape.stride, model.log_initial);  // before frame 0 every state is equally likely
    std::vector<double> scratch(chains(model) * EXACT_BLOCK);
    const std::unique_ptr<Choice[]> choices(new Choice[blocks * step * chains(model) + EXACT_BLOCK]);

    Rows<double> rows{scores.data(), shape.stride, shape.first_frame};
    for (int64_t begin = 0; begin < frames; begin += window) {
        if (begin > 0) {
            rows.first_frame += window;
            for (int64_t c = 0; c < chains(model); ++c)
                std::memmove(rows.at(c, begin - model.longest), rows.at(c, begin - model.longest + window), model.longest * sizeof(double));
        }
        forward(model, densities, rows, begin, std::min(begin + window, frames), scratch.data(), choices.get());
    }

    const State best = last(model, densities, rows, scratch.data());
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

// Fixed point.

template <class Value>
struct Scale;  // per_nat: units in a factor of e. impossible: stands for -inf, in nats; cheaper than -inf is allowed, see Certificate.

template <>
struct Scale<int32_t> {
    static constexpr double per_nat = 1 << 22, impossible_beat = 90, impossible_no_beat = 32;
    static constexpr const char* name = "fixed32";
};

template <>
struct Scale<int64_t> {
    static constexpr double per_nat = int64_t{1} << 36, impossible_beat = 1 << 13, impossible_no_beat = 1 << 13;
    static constexpr const char* name = "fixed64";
};

// Parts of the range, chosen so that no sum leaves it: floor + least gain - most - ... > -1 and most < 1.
template <class Value>
struct Range {
    static constexpr double whole = static_cast<double>(std::numeric_limits<Value>::max());
    static constexpr Value most = static_cast<Value>(0.38 * whole), floor = static_cast<Value>(-0.40 * whole),
                           least_gain = static_cast<Value>(-0.19 * whole), no_transition = static_cast<Value>(-0.30 * whole);
};

template <class Value>
class FixedDecoder {
    using Advance = void (*)(const Model&, const Fixed<Value>&, const Rows<Value>&, int64_t, int64_t);
    static constexpr int64_t WINDOW = 2048;  // frames between checkpoints

  public:
    FixedDecoder(const Model& model, const Densities& densities, Advance advance) : model_(model), densities_(densities), advance_(advance) {}

    // Nothing if any decision cannot be certified.
    std::optional<Decoded> decode() {
        const int64_t step = std::min(FIXED_BLOCK, model_.shortest), frames = densities_.frames;
        measure_densities();
        const double clear = std::ceil(margin());
        if (!(clear < static_cast<double>(Range<Value>::most))) return std::nullopt;
        clear_ = static_cast<Value>(clear);
        quantise_transitions();
        quantise_gains();
        const int64_t entries = std::min<int64_t>(Range<Value>::most / std::max<Value>(most_gain_, 1) - 1, WINDOW / model_.shortest + 1);
        if (entries < 1) return std::nullopt;
        scratch_.resize(static_cast<size_t>(model_.tempi) * FIXED_BLOCK);
        fixed_ = Fixed<Value>{transitions_.data(), gain_of_chain_.data(), Range<Value>::floor, scratch_.data()};
        // In one segment scores rise by at most one gain per entry, then they are brought down again.
        segment_ = std::min((frames + step - 1) / step, std::max<int64_t>(entries * model_.shortest / step, 1)) * step;
        segments_ = (frames + segment_ - 1) / segment_;
        slots_ = std::min(segments_, std::max<int64_t>(WINDOW / segment_, 1));
        stride_ = model_.longest + segment_ + FIXED_BLOCK;
        scores_.assign(static_cast<size_t>(slots_ * chains(model_) * stride_), 0);
        checkpoints_.resize(static_cast<size_t>((segments_ - 1) / slots_ * chains(model_) * model_.longest));

        double offset = 0;
        for (int64_t segment = 0; segment < segments_; ++segment) {
            offset += enter_segment(segment);
            if (segment > 0 && segment % slots_ == 0) copy_checkpoint(segment, false);
            run_segment(segment);
        }
        return trace(offset);
    }

  private:
    void measure_densities() {
        for (int64_t t = 0; t < densities_.frames; ++t) {
            const double none = no_beat(t);
            no_beat_sum_ += none;
            magnitude_ += std::max({std::abs(none), std::abs(head(0, t)), std::abs(head(1, t))});
        }
    }

    void quantise_transitions() {
        const size_t count = static_cast<size_t>(model_.tempi) * model_.tempi;
        transitions_.resize(count);
        for (size_t i = 0; i < count; ++i) {
            const double units = std::nearbyint(model_.log_transitions[i] * Scale<Value>::per_nat);
            transitions_[i] = units > static_cast<double>(Range<Value>::no_transition) ? static_cast<Value>(units) : Range<Value>::no_transition;
        }
    }

    // gain: what the head of a chain adds, compared to observing no beat in its frames.
    void quantise_gains() {
        const int64_t before = model_.longest, frames = densities_.frames, size = before + frames + FIXED_BLOCK;
        const int32_t* heads = model_.heads;
        const int longest_head = *std::max_element(heads, heads + chains(model_));
        std::vector<double> delta(size + longest_head), sum(size);
        gain_of_chain_.resize(static_cast<size_t>(chains(model_)));
        for (int first = 0; first < std::min(model_.beats, 2); ++first) {  // beat 0 observes the downbeat, all others the beat
            for (int64_t t = 0; t < frames; ++t) delta[before + t] = head(first, t) - no_beat(t);
            std::fill(sum.begin(), sum.end(), 0.0);
            for (int length = 1; length <= longest_head; ++length) {
                for (int64_t i = 0; i < size; ++i) sum[i] += delta[i + length - 1];
                const Value* row = nullptr;
                for (int64_t c = first * model_.tempi; c < (first == 0 ? model_.tempi : chains(model_)); ++c) {
                    if (heads[c] != length) continue;
                    if (row == nullptr) row = quantised(sum) + before;
                    gain_of_chain_[c] = row;
                }
            }
        }
    }

    const Value* quantised(const std::vector<double>& sum) {
        gains_.emplace_back(new Value[sum.size()]);
        Value* row = gains_.back().get();
        constexpr double least = static_cast<double>(Range<Value>::least_gain), most = static_cast<double>(Range<Value>::most) + 1;
        for (size_t i = 0; i < sum.size(); ++i) {
            const double units = std::min(std::max(sum[i] * Scale<Value>::per_nat, least), most);
            row[i] = static_cast<Value>(units + (units < 0 ? -0.5 : 0.5));
            most_gain_ = std::max(most_gain_, row[i]);
        }
        return row;
    }

    // Densities with something finite in place of -inf and NaN; never less than they are.
    double no_beat(int64_t t) const { return finite(densities_.by_class[0][t], Scale<Value>::impossible_no_beat); }
    double head(int beat, int64_t t) const { return finite(densities_.head(beat)[t], Scale<Value>::impossible_beat); }
    static double finite(double density, double impossible) { return density > -impossible ? density : -impossible; }

    Rows<Value> rows(int64_t segment) {
        return Rows<Value>{scores_.data() + segment % slots_ * chains(model_) * stride_, stride_, segment * segment_ - model_.longest};
    }

    // Brings in the scores before the segment, the best of them moved to 0. Returns by how much they were moved.
    double enter_segment(int64_t segment) {
        const Rows<Value> to = rows(segment);
        const int64_t begin = segment * segment_, before = begin - model_.longest;
        if (segment == 0) {
            for (int64_t c = 0; c < chains(model_); ++c)
                std::memcpy(to.at(c, before), gain_of_chain_[c] + before, model_.longest * sizeof(Value));
            return 0;
        }
        const Rows<Value> from = rows(segment - 1);
        Value best = std::numeric_limits<Value>::min();
        for (int64_t c = 0; c < chains(model_); ++c) {
            const Value* scores = from.at(c, begin);
            for (int i = -model_.intervals[c % model_.tempi]; i < 0; ++i) best = std::max(best, scores[i]);
        }
        // Slots can be one and the same, overlapping: to the front, ascending.
        for (int64_t c = 0; c < chains(model_); ++c) {
            const int interval = model_.intervals[c % model_.tempi];
            const Value* old = from.at(c, begin - interval);
            Value* moved = to.at(c, begin - interval);
            for (int i = 0; i < interval; ++i) moved[i] = std::max<Value>(old[i] - best, Range<Value>::floor);
        }
        return static_cast<double>(best);
    }

    void run_segment(int64_t segment) {
        const int64_t begin = segment * segment_;
        advance_(model_, fixed_, rows(segment), begin, std::min(begin + segment_, densities_.frames));
    }

    void copy_checkpoint(int64_t segment, bool back) {
        const Rows<Value> table = rows(segment);
        Value* saved = checkpoints_.data() + (segment / slots_ - 1) * chains(model_) * model_.longest;
        for (int64_t c = 0; c < chains(model_); ++c) {
            Value* scores = table.at(c, table.first_frame);
            Value* copy = saved + c * model_.longest;
            std::memcpy(back ? scores : copy, back ? copy : scores, model_.longest * sizeof(Value));
        }
    }

    void compute_again(int64_t window) {
        const int64_t first = window * slots_;
        for (int64_t segment = first; segment < first + slots_; ++segment) {
            if (segment == first && window > 0)
                copy_checkpoint(segment, true);
            else
                enter_segment(segment);
            run_segment(segment);
        }
    }

    // In units: by how much a decision must be clear. Each entry is rounded twice, by half a unit; madmom rounds each of its sums.
    double margin() const {
        const double frames = static_cast<double>(densities_.frames), entries = frames / model_.shortest + 2;
        const double madmom = (frames + entries + 4) * std::numeric_limits<double>::epsilon() / 2 * (magnitude_ + entries * 50);
        return 2.02 * (entries * 1.01 + 2 + madmom * Scale<Value>::per_nat);
    }

    std::optional<Decoded> trace(double offset) {
        const Rows<Value> end = rows(segments_ - 1);
        Value best = Range<Value>::floor + Range<Value>::least_gain, second = best;
        Entry entry{0, 0, 0};
        for (int beat = 0; beat < model_.beats; ++beat)
            for (int tempo = 0; tempo < model_.tempi; ++tempo)
                for (int64_t t = densities_.frames - model_.intervals[tempo]; t < densities_.frames; ++t) {
                    const Value score = *end.at(chain(model_, beat, tempo), t);
                    if (score > best) entry = Entry{t, beat, tempo};
                    second = std::max(second, std::min(best, score));
                    best = std::max(best, score);
                }
        if (best - second <= clear_) return std::nullopt;

        Decoded decoded{{}, 0, Scale<Value>::name};
        int64_t window = (segments_ - 1) / slots_;
        while (true) {
            if (gain_of_chain_[chain(model_, entry.beat, entry.tempo)][entry.frame] <= Range<Value>::least_gain) return std::nullopt;
            decoded.entries.push_back(entry);
            if (entry.frame < 0) break;
            const int64_t segment = entry.frame / segment_;
            while (window > segment / slots_) compute_again(--window);
            const Rows<Value> table = rows(segment);
            const int beat = beat_before(model_, entry.beat);
            Value chosen = Range<Value>::floor, other = chosen;
            int source = 0;
            for (int s = model_.sources[2 * entry.tempo]; s < model_.sources[2 * entry.tempo + 1]; ++s) {
                const Value score = *table.at(chain(model_, beat, s), entry.frame - model_.intervals[s]) + transitions_[s * model_.tempi + entry.tempo];
                if (score > chosen) source = s;
                other = std::max(other, std::min(chosen, score));
                chosen = std::max(chosen, score);
            }
            if (chosen - other <= clear_) return std::nullopt;
            entry = Entry{entry.frame - model_.intervals[source], beat, source};
        }
        if (!add_up(decoded)) return std::nullopt;
        const double found = (static_cast<double>(best) + offset) / Scale<Value>::per_nat + model_.log_initial + no_beat_sum_;
        if (!(std::abs(found - decoded.log_probability) * Scale<Value>::per_nat <= static_cast<double>(clear_))) return std::nullopt;
        return decoded;
    }

    // The path's log-probability by madmom's sums. False if a density on it was replaced by something finite.
    bool add_up(Decoded& decoded) const {
        double score = model_.log_initial;
        bool possible = true;
        for (size_t i = decoded.entries.size(); i-- > 0;) {
            const Entry entry = decoded.entries[i];
            const int64_t end = i > 0 ? decoded.entries[i - 1].frame : densities_.frames;
            const int64_t head_end = std::clamp<int64_t>(entry.frame + model_.heads[chain(model_, entry.beat, entry.tempo)], 0, end);
            if (entry.frame >= 0) score += model_.log_transitions[decoded.entries[i + 1].tempo * static_cast<int64_t>(model_.tempi) + entry.tempo];
            int64_t t = std::max<int64_t>(entry.frame, 0);
            for (const double* density = densities_.head(entry.beat); t < head_end; ++t) {
                score += density[t];
                possible &= density[t] > -Scale<Value>::impossible_beat;
            }
            for (const double* density = densities_.by_class[0]; t < end; ++t) {
                score += density[t];
                possible &= density[t] > -Scale<Value>::impossible_no_beat;
            }
        }
        decoded.log_probability = score;
        return possible && std::isfinite(score);
    }

    const Model& model_;
    const Densities& densities_;
    Advance advance_;
    Fixed<Value> fixed_{};
    std::vector<Value> transitions_, scores_, checkpoints_, scratch_;
    std::vector<std::unique_ptr<Value[]>> gains_;
    std::vector<const Value*> gain_of_chain_;
    Value most_gain_ = 0, clear_ = 0;
    double no_beat_sum_ = 0, magnitude_ = 0;
    int64_t segment_ = 0, segments_ = 0, slots_ = 0, stride_ = 0;
};

enum class Method { fixed32, fixed64, exact };

// Tries the methods from `first` on, each slower than the one before, until one gives a certain answer.
inline Decoded decode(const Kernel& kernel, const Model& model, const Densities& densities, Method first) {
    if (densities.frames == 0) return Decoded{{}, model.log_initial, "exact"};
    if (first == Method::fixed32)
        if (auto decoded = FixedDecoder<int32_t>(model, densities, kernel.fixed32).decode()) return *std::move(decoded);
    if (first != Method::exact)
        if (auto decoded = FixedDecoder<int64_t>(model, densities, kernel.fixed64).decode()) return *std::move(decoded);
    if (model.tempi <= 256) return decode_exact<uint8_t>(model, densities, kernel.exact8, kernel.exact_last);
    return decode_exact<uint16_t>(model, densities, kernel.exact16, kernel.exact_last);
}

}  // namespace dbn
