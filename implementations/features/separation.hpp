// The harmonic part of a block (Fitzgerald 2010): medians along time and frequency, a soft mask, the inverse transform, overlap and add.
#pragma once

#include "spectrum.hpp"

namespace LEVEL {

// Place of value n of a spectrum that is to be inverted: values 64 apart, which are read together, fall into different cache sets.
INLINE int spread(int n) { return n + n / 64; }

// a^2 / (a^2 + b^2), one half where both are nothing.
INLINE VecF soft_mask(VecF a, VecF b) {
    const VecF square = a * a, sum = fma(b, b, square);
    if (__builtin_expect(bits((sum < same<VecF>(1e-30f)) | (sum > same<VecF>(1e37f))) != 0, 0)) {
        const VecF larger = most(a, b), tiny = same<VecF>(1.17549435e-38f);
        const VecI none = larger < tiny;
        const VecF scale = none ? same<VecF>(1.0f) : larger;
        const VecF x = a / scale, y = b / scale, ratio = x * x / most(fma(y, y, x * x), tiny);
        return none ? same<VecF>(0.5f) : ratio;
    }
    return square / sum;
}

// Memory::percussive: medians over 31 bins, of every frame.
inline void medians_over_bins(Memory& memory, int group, const Spectra& of) {
    const float* magnitude = of.magnitude + group * kMagnitudes * kFrames;
    float* to = memory.percussive + group * kPadded * kFrames;
    for (int first = 0; first < kPadded; first += kTile)
        medians([&](int i) ALWAYS { return load<VecF>(magnitude + (first + i) * kFrames); },
                [&](int o, VecF v) ALWAYS { store(to + (first + o) * kFrames, v); });
}

// Memory::hartley: the masked spectra, as real sequences whose Hartley transform is their inverse Fourier transform: Re X - Im X.
// The Hartley transform is Re F - Im F of a forward transform, so that one fast transform serves both directions.
inline void mask(const Tables& tables, const Job& job, Memory& memory, int64_t block, const Spectra& of) {
    const float* rows[kTile + 2 * kReach];  // of the frames before, in and after the block, at bin 0
    for (int i = 0; i < kTile + 2 * kReach; ++i) {
        const int64_t frame = block * kBlock + i - kReach;
        // frames behind the last only feed windows that are not wanted; any row will do there
        rows[i] = memory.row(frame - kReach < job.frames ? reflected(frame, job.frames) : 0, 0);
    }
    VecF exists[kGroups];
    for (int i = 0; i < kBlock; ++i) exists[i / kFrames][i % kFrames] = block * kBlock + i < job.frames ? 1.0f : 0.0f;
    for (int first = 0; first < kBins; first += kFrames) {
        VecF harmonic[kTile];
        medians([&](int i) ALWAYS { return load<VecF>(rows[i] + first); }, [&](int o, VecF v) ALWAYS { harmonic[o] = v; });
        for (int group = 0; group < kGroups; ++group) {
            VecF tile[kFrames];
            for (int i = 0; i < kFrames; ++i) tile[i] = harmonic[group * kFrames + i];
            transpose(tile);
            const float* percussive = memory.percussive + group * kPadded * kFrames;
            const float *re = of.re + group * kPlaces * kFrames, *im = of.im + group * kPlaces * kFrames;
            float* to = memory.hartley + group * kSpread * kFrames;
            for (int i = 0; i < kFrames && first + i < kBins; ++i) {
                const int bin = first + i, place = tables.place[bin] * kFrames;
                const VecF share = soft_mask(tile[i], load<VecF>(percussive + bin * kFrames)) * exists[group];
                const VecF x = load<VecF>(re + place) * share, y = load<VecF>(im + place) * share;
                store(to + spread(bin) * kFrames, bin % (kFrame / 2) ? x - y : x);
                if (bin % (kFrame / 2)) store(to + spread(kFrame - bin) * kFrames, x + y);
            }
        }
    }
}

// Memory::overlap: the frames of a group in time, weighted by the window, beside those of the group before.
inline void invert(const Tables& tables, Memory& memory, int group) {
    for (int n = 0; n < kFrame; ++n) {
        float* at = memory.overlap + 2 * n * kFrames;
        store(at, load<VecF>(at + kFrames));
    }
    const float* from = memory.hartley + group * kSpread * kFrames;
    transform_frames<float>(
        *tables.twiddles32, tables.scale32, memory.rows, memory.inner,
        [&](int, int i) ALWAYS { return load<VecF>(from + tables.spread[i] * kFrames); },
        [&](int, int, int bin, bool mirrored, Complex<VecF> f) ALWAYS {
            const VecF im = mirrored ? -f.im : f.im;
            store(memory.overlap + (2 * bin + 1) * kFrames, (f.re - im) * same<VecF>(tables.hann[bin]));
            if (bin % (kFrame / 2)) store(memory.overlap + (2 * (kFrame - bin) + 1) * kFrames, (f.re + im) * same<VecF>(tables.hann[kFrame - bin]));
        },
        [](int, int) ALWAYS {}, [](int, int) ALWAYS {});
}

// Sums of the magnitudes of the harmonic part over segments of 512 samples. Padded segment q = frame q's first quarter, the second quarter
// of frame q - 1, and so on; the samples begin with padded segment 2.
inline void add_up(const Tables& tables, const Job& job, Memory& memory, int64_t first_frame) {
    const float* at = memory.overlap + kFrames;
    const auto sum_at = [&](int m) ALWAYS {
        VecF sum = load<VecF>(at + 2 * m * kFrames);
        for (int j = 1; j < 4; ++j) sum = sum + load<VecF>(at + 2 * (m + kSegment * j) * kFrames - j);
        return sum;
    };
    const int64_t last_frame = first_frame + kFrames - 1;
    const auto absolute = [](VecF v) ALWAYS { return most(v, -v); };
    if (first_frame >= 3 && last_frame < job.frames && (last_frame - 1) * kSegment <= job.count) {
        Sums sums;
        const float* norm = tables.norm + 15 * kSegment;
        for (int m = 0; m < kSegment; ++m) {
            sums.add(absolute(sum_at(m)) * same<VecF>(norm[m]));
            if (m % 32 == 31) sums.fold();
        }
        for (int i = 0; i < kFrames; ++i) job.harmonic[first_frame + i - 2] = sums.total[i];
        return;
    }
    double sums[kFrames] = {};
    for (int m = 0; m < kSegment; ++m) {
        const VecF v = absolute(sum_at(m));
        for (int i = 0; i < kFrames; ++i) {
            const int64_t q = first_frame + i;
            if (q < 2 || (q - 2) * kSegment + m >= job.count) continue;
            int there = 0;
            for (int j = 0; j < 4; ++j) there |= (q >= j && q - j < job.frames) << j;
            sums[i] += static_cast<double>(v[i] * tables.norm[there * kSegment + m]);
        }
    }
    for (int i = 0; i < kFrames; ++i)
        if (first_frame + i >= 2 && (first_frame + i - 2) * kSegment < job.count) job.harmonic[first_frame + i - 2] = sums[i];
}

}  // namespace LEVEL
