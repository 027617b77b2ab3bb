// The best path through one bar length, equal to madmom's in every decision and its log-probability in every bit.
//
// Fast: scores in fixed point, where adding is exact and a whole chain costs one addition. Only the best score of each entry is
// kept; the path is found by computing segment after segment again, last one first. All scores are upper bounds. So if at each
// decision on the path the others' bounds lie below what the path is really worth, by more than madmom's own rounding, madmom
// decides the same. Exact: madmom's own sums, for what cannot be certified (ties, no possible path, scores out of range).
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

// Parts of the range of Value, chosen so that no sum leaves it: high + most_gain < 1, floor + least_gain + no_transition > -1.
template <class Value>
struct Units {
    static constexpr double whole = static_cast<double>(std::numeric_limits<Value>::max());
    static constexpr Value high = static_cast<Value>(0.38 * whole), low = static_cast<Value>(-0.15 * whole), most_gain = static_cast<Value>(0.25 * whole),
                           floor = static_cast<Value>(-0.40 * whole), least_gain = static_cast<Value>(-0.19 * whole),
                           no_transition = static_cast<Value>(-0.30 * whole);
    static constexpr bool small = sizeof(Value) == 4;
    static constexpr Rounding rounding{small ? 0x1p22 : 0x1p36, small ? 90.0 : 8192.0, small ? 32.0 : 8192.0, static_cast<double>(least_gain),
                                       static_cast<double>(most_gain)};
    static constexpr const char* name = small ? "fixed32" : "fixed64";
};

// The functions of a kernel for scores of one type.
template <class Value>
struct Functions {
    int64_t (*run)(const Model&, const Fixed<Value>&, const Rows<Value>&, int64_t, int64_t);
    bool (*gains)(const Densities&, const Rounding&, int, int64_t, int64_t, int, double*, Value* const*);
};

template <class Value>
class FixedDecoder {
    using U = Units<Value>;
    static constexpr int64_t LONGEST_SEGMENT = 2048, SHORT_SEGMENT = 512;  // frames; each segment but the first has a checkpoint
    static constexpr double TIE = 1e-4;  // a gap that looks like a tie, for which more bits would be in vain

    struct Decision {
        Entry entry;
        double best, gap;  // units: the score the entry was chosen for, before its density, and how far the next best lies below
    };

  public:
    FixedDecoder(const Model& model, const Densities& densities, const Functions<Value>& functions)
        : model_(model),
          densities_(densities),
          functions_(functions),
          stride_(model.longest + std::min(LONGEST_SEGMENT, densities.frames) + FIXED_BLOCK),
          lengths_(*std::max_element(model.heads, model.heads + chains(model))),
          scores_(static_cast<size_t>(chains(model) * stride_)),
          gain_scratch_(static_cast<size_t>(stride_ + lengths_ + GAIN_PADDING)),
          gains_of_chain_(static_cast<size_t>(chains(model))),
          scratch_(static_cast<size_t>(model.tempi) * FIXED_BLOCK),
          rows_{scores_.data(), stride_, -model.longest} {
        round_transitions();
        place_gains();
    }

    // Nothing if a score is out of range or a decision cannot be certified.
    std::optional<Decoded> decode() {
        if (!run_all()) return std::nullopt;
        const std::vector<Decision> path = trace();
        if (path.empty()) return std::nullopt;
        return certify(path);
    }

    bool looks_like_a_tie() const { return tie_; }

  private:
    void round_transitions() {
        const size_t count = static_cast<size_t>(model_.tempi) * model_.tempi;
        transitions_.resize(count);
        for (size_t i = 0; i < count; ++i)
            transitions_[i] = static_cast<Value>(
                std::max(std::ceil(model_.log_transitions[i] * U::rounding.units_per_nat), static_cast<double>(U::no_transition)));
    }

    // A row of gains for each length of a head, of beat 0 and of the others.
    void place_gains() {
        gain_rows_.assign(static_cast<size_t>(2 * (lengths_ + 1)), nullptr);
        for (int64_t c = 0; c < chains(model_); ++c) {
            Value*& row = gain_rows_[(c < model_.tempi ? 0 : lengths_ + 1) + model_.heads[c]];
            if (row == nullptr) {
                gains_.emplace_back(new Value[stride_ + GAIN_PADDING]);
                row = gains_.back().get();
            }
            gains_of_chain_[c] = row;
        }
    }

    // The whole forward pass: checkpoints, offsets, and the scores of the last segment.
    bool run_all() {
        int64_t begin = 0;
        while (true) {
            offsets_.push_back(begin == 0 ? 0 : offsets_.back() + bring_down(begin));
            begins_.push_back(begin);
            if (!find_gains(begin)) return false;
            if (begin == 0)
                enter_first();
            else
                copy_live_scores(begin, checkpoint(begins_.size() - 1), true);
            const int64_t end = std::min(begin + LONGEST_SEGMENT, densities_.frames);
            const int64_t reached = functions_.run(model_, fixed(begin, U::low, U::high), rows_, begin, end);
            if (reached == densities_.frames) return true;
            if (static_cast<int64_t>(begins_.size()) > 8 + densities_.frames / SHORT_SEGMENT) return false;  // too many checkpoints
            begin = reached;
        }
    }

    void run_again(size_t segment) {
        const int64_t begin = begins_[segment];
        rows_.first_frame = begin - model_.longest;
        find_gains(begin);
        if (segment == 0)
            enter_first();
        else
            copy_live_scores(begin, checkpoint(segment), false);
        functions_.run(model_, fixed(begin, std::numeric_limits<Value>::min(), std::numeric_limits<Value>::max()), rows_, begin, begins_[segment + 1]);
    }

    Fixed<Value> fixed(int64_t begin, Value low, Value high) {
        return Fixed<Value>{transitions_.data(), gains_of_chain_.data(), begin - model_.longest, U::floor, low, high, scratch_.data()};
    }

    bool find_gains(int64_t begin) {
        const int64_t from = begin - model_.longest, count = std::min(stride_, densities_.frames + FIXED_BLOCK - from);
        bool in_range = true;
        for (int beat = 0; beat < std::min(model_.beats, 2); ++beat)
            in_range &= functions_.gains(densities_, U::rounding, beat, from, count, lengths_, gain_scratch_.data(),
                                         gain_rows_.data() + beat * (lengths_ + 1));
        return in_range;
    }

    // Before frame 0 every chain is under way, from any of its states.
    void enter_first() {
        for (int64_t c = 0; c < chains(model_); ++c) std::memcpy(rows_.at(c, -model_.longest), gains_of_chain_[c], model_.longest * sizeof(Value));
    }

    // Moves the scores of the chains under way before `begin` to the front of the rows, the best of them to 0; returns its score.
    double bring_down(int64_t begin) {
        Value best = std::numeric_limits<Value>::min();
        for_live_scores(begin, [&](Value* scores, int count) { best = std::max(best, *std::max_element(scores, scores + count)); });
        const int64_t moved = begin - model_.longest - rows_.first_frame;
        for_live_scores(begin, [&](Value* scores, int count) {
            for (int i = 0; i < count; ++i) scores[i - moved] = scores[i] < U::floor + best ? U::floor : scores[i] - best;
        });
        rows_.first_frame += moved;
        return static_cast<double>(best);
    }

    template <class Visit>
    void for_live_scores(int64_t begin, Visit visit) {
        for (int64_t c = 0; c < chains(model_); ++c) {
            const int interval = model_.intervals[c % model_.tempi];
            visit(rows_.at(c, begin - interval), interval);
        }
    }

    Value* checkpoint(size_t segment) {
        if (checkpoints_.size() < segment) {
            int64_t states = 0;
            for (int i = 0; i < model_.tempi; ++i) states += model_.intervals[i];
            checkpoints_.emplace_back(new Value[states * model_.beats]);
        }
        return checkpoints_[segment - 1].get();
    }

    void copy_live_scores(int64_t begin, Value* saved, bool save) {
        for_live_scores(begin, [&](Value* scores, int count) {
            std::memcpy(save ? saved : scores, save ? scores : saved, count * sizeof(Value));
            saved += count;
        });
    }

    // The decisions of the best path, last one first: at its end, and at each of its entries. Empty if a decision is none.
    std::vector<Decision> trace() {
        Best best{U::floor + U::least_gain};
        Entry entry{};
        for (int beat = 0; beat < model_.beats; ++beat)
            for (int tempo = 0; tempo < model_.tempi; ++tempo)
                for (int64_t t = densities_.frames - model_.intervals[tempo]; t < densities_.frames; ++t)
                    if (best.take(*rows_.at(chain(model_, beat, tempo), t))) entry = Entry{t, beat, tempo};
        size_t segment = begins_.size() - 1;
        std::vector<Decision> path;
        while (true) {
            tie_ = best.gap() <= TIE / 100 * U::rounding.units_per_nat && best.score > U::floor;
            if (tie_ || best.gap() == 0) return {};
            path.push_back(Decision{entry, static_cast<double>(best.score) + offsets_[segment], static_cast<double>(best.gap())});
            if (entry.frame < 0) return path;
            while (entry.frame < begins_[segment]) run_again(--segment);
            const int beat = beat_before(model_, entry.beat);
            best = Best{U::floor};
            int source = 0;
            for (int s = model_.sources[2 * entry.tempo]; s < model_.sources[2 * entry.tempo + 1]; ++s)
                if (best.take(*rows_.at(chain(model_, beat, s), entry.frame - model_.intervals[s]) + transitions_[s * model_.tempi + entry.tempo]))
                    source = s;
            entry = Entry{entry.frame - model_.intervals[source], beat, source};
        }
    }

    struct Best {
        Value score, second;

        explicit Best(Value least) : score(least), second(least) {}
        bool take(Value candidate) {
            const bool better = candidate > score;
            second = std::max(second, better ? score : candidate);
            if (better) score = candidate;
            return better;
        }
        Value gap() const { return score - second; }
    };

    // The path and its log-probability, if madmom takes each of its decisions. Its own score is computed as madmom does; any other
    // path is worth at most what fixed point says, or, as madmom sums it up, that and its rounding.
    std::optional<Decoded> certify(const std::vector<Decision>& path) {
        constexpr double ROUNDING = std::numeric_limits<double>::epsilon() / 2;
        const auto [per_nat, impossible_beat, impossible_no_beat, least, most] = U::rounding;
        double score = model_.log_initial, no_beat = score;      // no_beat: what fixed-point scores are relative to
        double magnitude = 1e4, no_beat_magnitude = 0;           // of what any possible path adds up to, with room for one more frame
        int64_t t = 0;
        for (size_t i = path.size(); i-- > 0;) {
            const auto& [entry, best, gap] = path[i];
            const int64_t end = i > 0 ? path[i - 1].entry.frame : densities_.frames;
            const int64_t head_end = entry.frame + model_.heads[chain(model_, entry.beat, entry.tempo)];
            const double* head = densities_.head(entry.beat);
            for (; t < end; ++t) {
                const double none = densities_.by_class[0][t], bounded = none > -impossible_no_beat ? none : -impossible_no_beat;
                score += t < head_end ? head[t] : none;
                no_beat += bounded;
                no_beat_magnitude += std::abs(bounded);
                magnitude += std::max({size(none), size(densities_.by_class[1][t]), size(densities_.by_class[2][t])});
            }
            if (i > 0) score += model_.log_transitions[entry.tempo * static_cast<int64_t>(model_.tempi) + path[i - 1].entry.tempo];
            const double frames = static_cast<double>(t), entries = frames / model_.shortest + 8;
            const double rounding = ROUNDING * ((frames + entries) * (magnitude + entries * 50) + frames * no_beat_magnitude);
            const double excess = best / per_nat + no_beat - score;
            if (!(gap / per_nat > excess + rounding && excess >= -rounding)) {
                tie_ = gap / per_nat <= TIE;
                return std::nullopt;
            }
        }
        Decoded decoded{{}, score, U::name};
        for (const Decision& decision : path) decoded.entries.push_back(decision.entry);
        return decoded;
    }

    // How much a density can add to the rounding of a possible path: what lies below the bound is no rival.
    static double size(double density) {
        return density > -std::numeric_limits<double>::infinity() ? std::min(std::abs(density), 8192.0) : 0;
    }

    const Model& model_;
    const Densities& densities_;
    const Functions<Value> functions_;
    const int64_t stride_;
    const int lengths_;
    std::vector<Value> scores_, transitions_;
    std::vector<double> gain_scratch_;
    std::vector<Value*> gain_rows_;              // (2, lengths + 1)
    std::vector<const Value*> gains_of_chain_;
    std::vector<std::unique_ptr<Value[]>> gains_, checkpoints_;
    std::vector<Value> scratch_;
    std::vector<int64_t> begins_;                // of the segments
    std::vector<double> offsets_;                // by how much the scores of each segment were brought down
    Rows<Value> rows_;
    bool tie_ = false;
};

enum class Method { fixed32, fixed64, exact };

// Tries the methods from `first` on, each slower than the one before, until one gives a certain answer.
inline Decoded decode(const Kernel& kernel, const Model& model, const Densities& densities, Method first) {
    if (densities.frames == 0) return Decoded{{}, model.log_initial, "exact"};
    if (first == Method::fixed32) {
        FixedDecoder<int32_t> decoder(model, densities, {kernel.fixed32, kernel.gains32});
        if (auto decoded = decoder.decode()) return *std::move(decoded);
        if (decoder.looks_like_a_tie()) first = Method::exact;
    }
    if (first != Method::exact && kernel.fixed64 != nullptr) {
        FixedDecoder<int64_t> decoder(model, densities, {kernel.fixed64, kernel.gains64});
        if (auto decoded = decoder.decode()) return *std::move(decoded);
    }
    if (model.tempi <= 256) return decode_exact<uint8_t>(model, densities, kernel.exact8, kernel.exact_last);
    return decode_exact<uint16_t>(model, densities, kernel.exact16, kernel.exact_last);
}

}  // namespace dbn
