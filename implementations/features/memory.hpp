// Memory of one thread, kept between calls: what a block needs fits a second-level cache.
#pragma once

#include <cstdlib>
#include <new>

#include "kernel.hpp"
#include "median.hpp"

namespace LEVEL {

constexpr int kGroups = kBlock / kFrames;                    // registers side by side that hold a value of every frame of a block
constexpr int kPadded = (kBins + kTile - 1) / kTile * kTile; // bins rounded up to tiles
constexpr int kSpread = kFrame + kFrame / 64;                // values of a spectrum to be inverted; every 64 a gap

// The spectra of one block; lanes are frames.
struct Spectra {
    float *re, *im;        // (groups, places, lanes)
    float* magnitude;      // (groups, 15 + bins + 15 + padding, lanes): bins in order, reflected at both ends
};
constexpr int kMagnitudes = kPadded + 2 * kReach;

struct Memory {
    void* rows = get(kRowsBytes);
    void* inner = get(kInnerBytes);
    float* columns = floats(1024 * 20 + 64);                 // samples, transposed
    float* edge = floats((kBlock + 4) * 1024);         // samples between zeros
    float* power = floats(kMagnitudes * kFrames);
    float* percussive = floats(kGroups * kPadded * kFrames);
    float* rows_of_frames = floats(3 * kBlock * kPadded);    // magnitudes of three blocks, (frames, bins)
    float* hartley = floats(kGroups * kSpread * kFrames);
    float* overlap = floats(kFrame * 2 * kFrames);           // frames in time, (samples, lanes before and lanes now)
    Spectra spectra[2] = {make(), make()};                   // of blocks with even and odd numbers

    static void* get(size_t bytes) {
        void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!p) throw std::bad_alloc();
        return p;
    }
    static float* floats(size_t count) { return static_cast<float*>(get(count * sizeof(float))); }
    static Spectra make() {
        const size_t complex = static_cast<size_t>(kGroups) * kPlaces * kFrames;
        return {floats(complex), floats(complex), floats(static_cast<size_t>(kGroups) * kMagnitudes * kFrames)};
    }
    Memory() = default;
    Memory(const Memory&) = delete;
    ~Memory() {
        std::free(rows), std::free(inner), std::free(columns), std::free(edge), std::free(power), std::free(percussive);
        std::free(rows_of_frames), std::free(hartley), std::free(overlap);
        for (Spectra& s : spectra) std::free(s.re), std::free(s.im), std::free(s.magnitude);
    }
    float* row(int64_t frame, int64_t bin) { return rows_of_frames + (frame % (3 * kBlock)) * kPadded + bin; }
};

__attribute__((noinline)) inline Memory& mine() {
    thread_local Memory memory;
    return memory;
}

// Sums of the lanes of many registers: float in short runs, double over runs.
struct Sums {
    VecF run{};
    double total[kFrames] = {};
    INLINE void add(VecF v) { run = run + v; }
    void fold() {
        for (int i = 0; i < kFrames; ++i) total[i] += static_cast<double>(run[i]);
        run = VecF{};
    }
    double all() {
        fold();
        double sum = 0;
        for (double lane : total) sum += lane;
        return sum;
    }
};

}  // namespace LEVEL
