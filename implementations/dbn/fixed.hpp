// The fixed-point decoder: fast, and certain of what it returns.
//
// Scores are whole numbers, so adding them is exact, and relative to observing no beat, so a whole chain costs one addition. They are
// upper bounds. The forward pass keeps 4 bits of each score at a chain's end; from the best state at the end these bits lead back
// to the few paths that could be worth as much. If the best of them is worth, by madmom's sums, more than the bound of any other,
// madmom finds the same path.
#pragma once

#include "path.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace dbn {

// Parts of the range of Value, chosen so that no sum leaves it: high + most_gain < 1, floor + least_gain + no_transition > -1.
template <class Value>
struct Units {
    static constexpr double whole = static_cast<double>(std::numeric_limits<Value>::max());
    static constexpr Value high = static_cast<Value>(0.25 * whole), low = static_cast<Value>(-0.15 * whole),
                           most_gain = static_cast<Value>(0.20 * whole), floor = static_cast<Value>(-0.38 * whole),
                           least_gain = static_cast<Value>(-0.27 * whole), no_transition = static_cast<Value>(-0.30 * whole);
    static constexpr bool small = sizeof(Value) == 4;
    static constexpr int level_shift = small ? 22 : 36;  // a nat
    static constexpr Rounding rounding{small ? 0x1p22 : 0x1p36, small ? 90.0 : 8192.0, small ? 32.0 : 8192.0,
                                       static_cast<double>(least_gain), static_cast<double>(most_gain)};
    static constexpr const char* name = small ? "fixed32" : "fixed64";
};

template <class Value>
class FixedDecoder {
    using U = Units<Value>;
    static constexpr int64_t LONGEST_SEGMENT = 512;  // frames
    static constexpr double TIE = 1e-5;              // nats; what is as close as that looks like a tie: more bits would be in vain

    // An entry of a path that could be the best: the score it must have for that, the entry after it, and how much less would be
    // enough without the second best way from there to the end.
    struct Node {
        Entry entry;
        int64_t score, next, lead;
    };

  public:
    FixedDecoder(const Model& model, const Densities& densities, const FixedFunctions<Value>& functions)
        : model_(model),
          densities_(densities),
          functions_(functions),
          step_(std::min(FIXED_BLOCK, model.shortest)),
          stride_(model.longest + std::min(LONGEST_SEGMENT, densities.frames) + FIXED_BLOCK),
          lengths_(*std::max_element(model.heads, model.heads + chains(model))),
          scores_(static_cast<size_t>(chains(model) * stride_)),
          gain_scratch_(static_cast<size_t>(stride_ + lengths_ + GAIN_PADDING)),
          gains_of_chain_(static_cast<size_t>(chains(model))),
          scratch_(static_cast<size_t>(model.tempi) * FIXED_BLOCK),
          rows_{scores_.data(), stride_, -model.longest} {
        const int64_t blocks = (densities.frames + step_ - 1) / step_;
        best_ = allocate<Value>(blocks * step_ * model.beats);
        levels_ = allocate<uint8_t>(blocks * step_ * model.beats * level_rows(model) + FIXED_BLOCK);
        round_transitions();
        place_gains();
    }

    // Nothing if a score is out of range or the best path is not certain.
    std::optional<Decoded> decode() {
        if (!run()) return std::nullopt;
        std::optional<Decoded> decoded = search();
        if (decoded && !certify(*decoded)) return std::nullopt;
        return decoded;
    }

    bool looks_like_a_tie() const { return static_cast<double>(lead_) <= TIE * U::rounding.units_per_nat; }

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

    // The forward pass, in segments: at the start of each, scores are brought down by the best of them.
    bool run() {
        const int64_t segment = std::max(LONGEST_SEGMENT / step_, int64_t{1}) * step_;
        for (int64_t begin = 0; begin < densities_.frames;) {
            offsets_.push_back(begin == 0 ? 0 : offsets_.back() + bring_down(begin));
            if (std::abs(offsets_.back()) > std::numeric_limits<int64_t>::max() / 4) return false;
            begins_.push_back(begin);
            const int64_t from = begin - model_.longest, count = std::min(stride_, densities_.frames + FIXED_BLOCK - from);
            for (int beat = 0; beat < std::min(model_.beats, 2); ++beat)
                if (!functions_.gains(densities_, U::rounding, beat, from, count, lengths_, gain_scratch_.data(),
                                      gain_rows_.data() + beat * (lengths_ + 1)))
                    return false;
            if (begin == 0)  // every chain is under way, from any of its states
                for (int64_t c = 0; c < chains(model_); ++c)
                    std::memcpy(rows_.at(c, from), gains_of_chain_[c], model_.longest * sizeof(Value));
            const Fixed<Value> fixed{transitions_.data(), gains_of_chain_.data(), from, U::floor, U::low, U::high, scratch_.data(),
                                     best_.get(), levels_.get(), U::level_shift};
            begin = functions_.run(model_, fixed, rows_, begin, std::min(begin + segment, densities_.frames));
        }
        return true;
    }

    // Moves the scores of the chains under way before `begin` to the front of the rows, the best of them to 0; returns its score.
    int64_t bring_down(int64_t begin) {
        Value best = std::numeric_limits<Value>::min();
        const int64_t moved = begin - model_.longest - rows_.first_frame;
        for (int64_t c = 0; c < chains(model_); ++c) {
            const int interval = model_.intervals[c % model_.tempi];
            const Value* scores = rows_.at(c, begin - interval);
            best = std::max(best, *std::max_element(scores, scores + interval));
        }
        for (int64_t c = 0; c < chains(model_); ++c) {
            const int interval = model_.intervals[c % model_.tempi];
            Value* scores = rows_.at(c, begin - interval);
            for (int i = 0; i < interval; ++i) scores[i - moved] = scores[i] < U::floor + best ? U::floor : scores[i] - best;
        }
        rows_.first_frame += moved;
        return best;
    }

    // Follows all paths whose bounds come close to the best from the end to the start, latest entry first, until one is left.
    std::optional<Decoded> search() {
        const int64_t entries = densities_.frames / model_.shortest + 16;
        const int64_t close = 4 * entries + static_cast<int64_t>(0.01 * U::rounding.units_per_nat);
        std::vector<Node> nodes{best_end(close)};
        std::vector<int64_t> open{0};
        int64_t complete = -1;
        size_t segment = begins_.size() - 1;
        while (!open.empty()) {
            const auto latest = std::max_element(open.begin(), open.end(),
                                                 [&](int64_t a, int64_t b) { return nodes[a].entry.frame < nodes[b].entry.frame; });
            const int64_t index = *latest;
            *latest = open.back();
            open.pop_back();
            const auto [frame, beat, tempo] = nodes[index].entry;
            if (frame < 0) {
                complete = complete < 0 ? index : better(nodes, complete, index);
                continue;
            }
            while (frame < begins_[segment]) --segment;
            const int64_t block = frame / step_ * model_.beats + beat, lane = frame % step_, score = nodes[index].score;
            const int64_t best = best_[block * step_ + lane] + offsets_[segment];
            const uint8_t* levels = levels_.get() + block * level_rows(model_) * step_ + lane;
            for (int source = model_.sources[2 * tempo]; source < model_.sources[2 * tempo + 1]; ++source) {
                const int64_t before = score - transitions_[static_cast<int64_t>(source) * model_.tempi + tempo];
                if (best - least_below(levels[source / 2 * step_] >> source % 2 * 4 & 15) < before - close) continue;
                const Entry entry{frame - model_.intervals[source], beat_before(model_, beat), source};
                nodes.push_back(Node{entry, before - gain(entry), index, close});
                const auto same = std::find_if(open.begin(), open.end(), [&](int64_t i) {
                    return nodes[i].entry.frame == entry.frame && nodes[i].entry.tempo == source && nodes[i].entry.beat == entry.beat;
                });
                if (same == open.end())
                    open.push_back(static_cast<int64_t>(nodes.size()) - 1);
                else
                    *same = better(nodes, *same, static_cast<int64_t>(nodes.size()) - 1);
            }
            if (static_cast<int64_t>(nodes.size()) > 64 * entries) {
                lead_ = 0;  // too many paths are alike
                return std::nullopt;
            }
        }
        // The chains that are under way in frame 0 have the score 0.
        if (complete < 0 || nodes[complete].score != 0) return std::nullopt;
        Decoded decoded{{}, 0, U::name};
        lead_ = close;
        for (int64_t i = complete; i >= 0; i = nodes[i].next) {
            decoded.entries.push_back(nodes[i].entry);
            lead_ = std::min(lead_, nodes[i].lead);
        }
        std::reverse(decoded.entries.begin(), decoded.entries.end());
        return decoded;
    }

    // How far below the best a score of that level lies at least.
    static int64_t least_below(int64_t level) { return std::max(level, (level - FINE_LEVELS) << COARSER) << U::level_shift; }

    // Of two ways to the end the one that is worth more: the entry can do with a lower score.
    static int64_t better(std::vector<Node>& nodes, int64_t a, int64_t b) {
        if (nodes[b].score < nodes[a].score) std::swap(a, b);
        nodes[a].lead = std::min(nodes[a].lead, nodes[b].score - nodes[a].score);
        return a;
    }

    Node best_end(int64_t close) {
        Value best = U::floor + U::least_gain, second = best;
        Entry entry{0, 0, 0};
        for (int beat = 0; beat < model_.beats; ++beat)
            for (int tempo = 0; tempo < model_.tempi; ++tempo)
                for (int64_t t = densities_.frames - model_.intervals[tempo]; t < densities_.frames; ++t) {
                    const Value score = *rows_.at(chain(model_, beat, tempo), t);
                    second = std::max(second, std::min(score, best));
                    if (score > best) entry = Entry{t, beat, tempo};
                    best = std::max(best, score);
                }
        end_ = best + offsets_.back();
        return Node{entry, end_ - gain(entry), -1, std::min<int64_t>(close, int64_t{best} - second)};
    }

    Value gain(const Entry& entry) {
        const int length = model_.heads[chain(model_, entry.beat, entry.tempo)];
        Value found[1 + GAIN_PADDING];
        gain_row_.assign(static_cast<size_t>(length + 1), nullptr);
        gain_row_[length] = found;
        functions_.gains(densities_, U::rounding, entry.beat, entry.frame, 1, length, gain_scratch_.data(), gain_row_.data());
        return found[0];
    }

    // Whether madmom finds this path: by its sums it is worth more than any other path can be, by fixed point and its rounding.
    bool certify(Decoded& decoded) const {
        const auto [per_nat, impossible_beat, impossible_no_beat, least, most] = U::rounding;
        double score = model_.log_initial, no_beat = score;  // no_beat: what fixed-point scores are relative to
        double magnitude = 1e4, no_beat_magnitude = 0;       // of what a possible path adds up to, with some to spare
        int64_t t = 0;
        for (size_t i = decoded.entries.size(); i-- > 0;) {
            const auto [frame, beat, tempo] = decoded.entries[i];
            const int64_t end = i > 0 ? decoded.entries[i - 1].frame : densities_.frames;
            const int64_t head_end = frame + model_.heads[chain(model_, beat, tempo)];
            const double* head = densities_.head(beat);
            if (frame >= 0) score += model_.log_transitions[decoded.entries[i + 1].tempo * static_cast<int64_t>(model_.tempi) + tempo];
            for (; t < end; ++t) {
                const double none = densities_.by_class[0][t], bounded = none > -impossible_no_beat ? none : -impossible_no_beat;
                score += t < head_end ? head[t] : none;
                no_beat += bounded;
                no_beat_magnitude += std::abs(bounded);
                magnitude += std::max({size(none), size(densities_.by_class[1][t]), size(densities_.by_class[2][t])});
            }
        }
        decoded.log_probability = score;
        const double frames = static_cast<double>(densities_.frames), entries = frames / model_.shortest + 8;
        const double rounding = std::numeric_limits<double>::epsilon() / 2 *
                                ((frames + entries) * (magnitude + entries * 50) + frames * no_beat_magnitude);
        const double excess = static_cast<double>(end_) / per_nat + no_beat - score;
        return static_cast<double>(lead_) / per_nat > excess + rounding && excess >= -rounding;
    }

    // How much a density can add to the rounding of a possible path; a path with one as low as the bound is no rival.
    static double size(double density) {
        if (density > 0) return density;
        return density > -std::numeric_limits<double>::infinity() ? std::min(-density, 8192.0) : 0;
    }

    const Model& model_;
    const Densities& densities_;
    const FixedFunctions<Value>& functions_;
    const int64_t step_, stride_;
    const int lengths_;
    std::vector<Value> scores_, transitions_;
    std::vector<double> gain_scratch_;
    std::vector<Value*> gain_rows_, gain_row_;   // (2, lengths + 1), (length + 1)
    std::vector<const Value*> gains_of_chain_;
    std::vector<std::unique_ptr<Value[]>> gains_;
    std::vector<Value> scratch_;
    Buffer<Value> best_;
    Buffer<uint8_t> levels_;
    std::vector<int64_t> begins_, offsets_;      // of the segments: first frame, and by how much their scores were brought down
    Rows<Value> rows_;
    int64_t end_ = 0, lead_ = std::numeric_limits<int64_t>::max();  // the best path's score, and by how much it leads
};

}  // namespace dbn
