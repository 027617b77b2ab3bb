// What the kernels and the decoder share: the model of one bar length, the densities by class, and the tables of scores.
//
// A bar's states are chains: for each beat and tempo, `interval` states that only advance. So a path is a sequence of entries
// (frame, beat, tempo), and the only choices are the tempi at the entries (an explicit-duration, or semi-Markov, model).
#pragma once

#include <cstdint>

namespace dbn {

// One bar length. The tables belong to the caller.
struct Model {
    int beats, tempi;
    int shortest, longest;          // of the intervals
    const int32_t* intervals;       // (tempi) frames, each at least 1
    const int32_t* heads;           // (beats, tempi) states at a chain's start that observe a beat, at least 1; the others observe none
    const double* log_transitions;  // (tempi from, tempi to), -inf where there is none
    const int32_t* sources;         // (tempi to, 2) the first tempo that leads here, and the last + 1
    double log_initial;             // of each state before frame 0
};

// Frames computed together by SIMD. Beats shorter than that fill only a part of a block: within one block no frame may depend on another.
constexpr int EXACT_BLOCK = 24;
constexpr int FIXED_BLOCK = 16;
constexpr int GAIN_PADDING = 8;  // what is read and written beyond the gains asked for

// Levels of 4 bits: FINE_LEVELS + 1 of one size, then coarser ones, 2^COARSER times as wide. The last has no end.
constexpr int FINE_LEVELS = 7, COARSER = 3, LAST_LEVEL = 15;

// Log densities by class (no beat, beat, downbeat) from frame 0, each with longest + EXACT_BLOCK zeros before and after:
// a chain entered before frame 0 or left after the end adds nothing there.
struct Densities {
    int64_t frames;
    const double* by_class[3];

    const double* head(int beat) const { return by_class[beat == 0 ? 2 : 1]; }
};

// One value per chain and frame: that of frame t at data[chain * stride + t - first_frame], chain = beat * tempi + tempo.
template <class Value>
struct Rows {
    Value* data;
    int64_t stride, first_frame;

    Value* at(int64_t chain, int64_t frame) const { return data + chain * stride + (frame - first_frame); }
};

struct State {
    int beat, tempo;
    int64_t entry;  // frame in which its chain was entered
    double score;
};

// Scores in whole multiples of a small unit, so that adding is exact. They are upper bounds: whatever is rounded is rounded up.
// Relative to the path that observes no beat in any frame: then only the head of a chain counts, and a chain costs one addition.
template <class Value>
struct Fixed {
    const Value* transitions;   // (tempi from, tempi to)
    const Value* const* gains;  // (chains) what a chain gains by its head if entered in frame gains_begin, the next, ...
    int64_t gains_begin;
    Value floor;                // the least score at an entry
    Value low, high;            // where the best scores should stay
    Value* scratch;             // (tempi, FIXED_BLOCK)
    // What is kept of the scores of the chains that end before each frame, for step = min(FIXED_BLOCK, shortest) and the beat they
    // lead to: the best of all tempi (frame / step, beat, frame % step), and how far each one at least lies below that, as a level of
    // 4 bits, the odd tempo's above the even one's: (frame / step, beat, tempo / 2, frame % step). Levels start 2^level_shift apart.
    Value* best;
    uint8_t* levels;
    int level_shift;
};

// How gains become whole numbers, and what stands for impossible densities.
struct Rounding {
    double units_per_nat, impossible_beat, impossible_no_beat;  // a density below minus that counts as minus that
    double least, most;                                         // units; what is less counts as `least`
};

// What is compiled once per dispatch level.
struct ExactKernel {
    // Scores at the entries of frames [begin, end) from those of the `longest` frames before, with madmom's sums in madmom's order;
    // choices: the tempo each entry comes from, (frame / step, chain, frame % step) for step = min(EXACT_BLOCK, shortest).
    // scratch: (chains, EXACT_BLOCK).
    void (*run8)(const Model&, const Densities&, const Rows<double>&, int64_t begin, int64_t end, double* scratch, uint8_t* choices);
    void (*run16)(const Model&, const Densities&, const Rows<double>&, int64_t begin, int64_t end, double* scratch, uint16_t* choices);
    // The first of the best states in the last frame.
    State (*last)(const Model&, const Densities&, const Rows<double>&, double* scratch);
};

template <class Value>
struct FixedFunctions {
    // Scores after the head, for frames [begin, end), or fewer if the best become too low or too high. Returns the frame reached.
    // Null where it would be slower than the exact method.
    int64_t (*run)(const Model&, const Fixed<Value>&, const Rows<Value>&, int64_t begin, int64_t end);
    // Gains of heads of 1, 2, ... `lengths` states of a beat, entered in frames [begin, begin + count), where rows[length] is not null.
    // rows: count + GAIN_PADDING. scratch: count + lengths + GAIN_PADDING. False if a gain exceeds the most.
    bool (*gains)(const Densities&, const Rounding&, int beat, int64_t begin, int64_t count, int lengths, double* scratch,
                  Value* const* rows);
};

struct FixedKernel {
    FixedFunctions<int32_t> small;
    FixedFunctions<int64_t> large;
};

}  // namespace dbn
