// Frames to spectra, and what the spectra say frame by frame.
#pragma once

#include <cmath>
#include <cstring>

#include "logarithm.hpp"
#include "memory.hpp"

namespace LEVEL {

// Columns from `to` on of the transposed samples: `width` frames' worth, each `hop` samples after the last.
template <class V, int width> inline void turn(const Tables& tables, const float* from, float* to) {
    for (int n = 0; n < tables.hop; n += width) {
        V tile[width];
        for (int i = 0; i < width; ++i) tile[i] = load<V>(from + i * tables.hop + n);
        transpose(tile);
        for (int i = 0; i < width; ++i) store(to + (n + i) * tables.stride, tile[i]);
    }
}

// Memory::columns of the block that begins at frame 16 * block: neighbouring frames share all but a hop of their samples, so rows of a hop
// with a column per frame, and a few more, hold every frame; sample n of frame f is at row n % hop, column f + n / hop.
inline void gather(const Tables& tables, const float* samples, int64_t count, int64_t block, Memory& memory) {
    const int extra = kFrame / tables.hop - 1;
    const int64_t begin = block * kBlock * tables.hop - kFrame / 2, length = static_cast<int64_t>(kBlock + 4) * tables.hop;
    const float* from = samples + begin;
    if (begin < 0 || begin + length > count) {
        for (int64_t i = 0; i < length; ++i) memory.edge[i] = begin + i >= 0 && begin + i < count ? samples[begin + i] : 0.0f;
        from = memory.edge;
    }
    // the last columns first: they run over into the next row, which is written after them
    if (extra) turn<FourF, 4>(tables, from + kBlock * tables.hop, memory.columns + kBlock);
    for (int first = kBlock - kFrames; first >= 0; first -= kFrames) turn<VecF, kFrames>(tables, from + first * tables.hop, memory.columns + first);
}

template <class T> INLINE Vec<T> sample(const float* from) {
    if constexpr (sizeof(T) == 4)
        return load<VecF>(from);
    else
        return widen(load<HalfF>(from));
}

// Complex spectra as librosa has them, transformed in double and rounded to float; magnitudes at their places in Memory::power.
inline void transform_block(const Tables& tables, Memory& memory, int group, Spectra& to) {
    constexpr int n = kFrames / 2;
    float *re = to.re + group * kPlaces * kFrames, *im = to.im + group * kPlaces * kFrames;
    transform_frames<double>(
        *tables.twiddles, tables.window, memory.rows, memory.inner,
        [&](int part, int i) ALWAYS { return sample<double>(memory.columns + group * kFrames + part * n + tables.at[i]); },
        [&](int part, int place, int, bool mirrored, Complex<VecD> x) ALWAYS {
            const int at = place * kFrames + part * n;
            store(re + at, narrow(x.re));
            store(im + at, narrow(mirrored ? -x.im : x.im));
        },
        [](int, int) ALWAYS {}, [](int, int) ALWAYS {});
}

// |x| without loss where squares leave the range of a float.
INLINE VecF magnitude_of(VecF re, VecF im) {
    const VecF square = fma(re, re, im * im);
    const VecF result = root(square);
    if (__builtin_expect(bits(((square < same<VecF>(1e-36f)) & ((re != VecF{}) | (im != VecF{}))) | (square > same<VecF>(1e37f))) != 0, 0)) {
        VecF exact;
        for (int i = 0; i < kFrames; ++i) exact[i] = static_cast<float>(std::sqrt(double(re[i]) * re[i] + double(im[i]) * im[i]));
        return exact;
    }
    return result;
}

// Magnitudes in the order of bins, with their reflections, and turned into rows of frames.
inline void unfold(const Tables& tables, Memory& memory, int64_t block, int group, Spectra& of) {
    const float *re = of.re + group * kPlaces * kFrames, *im = of.im + group * kPlaces * kFrames;
    float* magnitude = of.magnitude + (group * kMagnitudes + kReach) * kFrames;
    for (int first = 0; first < kPadded; first += kFrames) {
        VecF tile[kFrames];
        for (int i = 0; i < kFrames; ++i) {
            const int bin = first + i;
            tile[i] = bin < kBins ? magnitude_of(load<VecF>(re + tables.place[bin] * kFrames), load<VecF>(im + tables.place[bin] * kFrames)) : VecF{};
            store(magnitude + bin * kFrames, tile[i]);
        }
        transpose(tile);
        for (int i = 0; i < kFrames; ++i) store(memory.row(block * kBlock + group * kFrames + i, first), tile[i]);
    }
    for (int i = 0; i < kReach; ++i) {
        store(magnitude - (i + 1) * kFrames, load<VecF>(magnitude + i * kFrames));
        store(magnitude + (kBins + i) * kFrames, load<VecF>(magnitude + (kBins - 1 - i) * kFrames));
    }
    for (int i = kBins + kReach; i < kPadded + kReach; ++i) store(magnitude + i * kFrames, VecF{});
}

// Mean frequency, and the first one below which 85 % of the magnitude lies, of each frame.
inline void brightness(const Tables& tables, const float* magnitude, double* centroid, double* rolloff, int frames) {
    const double spacing = tables.rate / kFrame;
    Sums weighted, sum;
    VecF total{};  // added up bin after bin in float, as librosa does: its order decides where the sum passes the threshold
    for (int bin = 0; bin < kBins; ++bin) {
        const VecF m = load<VecF>(magnitude + bin * kFrames);
        weighted.run = fma(m, same<VecF>(static_cast<float>(bin)), weighted.run);
        sum.add(m);
        total = total + m;
        if (bin % 32 == 31) weighted.fold(), sum.fold();
    }
    weighted.fold(), sum.fold();
    const VecF threshold = total * same<VecF>(0.85f);
    VecF part{};
    VecI below{};
    for (int bin = 0; bin < kBins; ++bin) {
        part = part + load<VecF>(magnitude + bin * kFrames);
        below = below - (part < threshold);  // true is -1
    }
    for (int i = 0; i < frames; ++i) {
        const double scale = sum.total[i] < 1.17549435e-38 ? 1.0 : sum.total[i];  // librosa leaves silence unscaled
        centroid[i] = spacing * weighted.total[i] / scale;
        rolloff[i] = spacing * static_cast<double>(below[i]);
    }
}

// Mel bands in dB, above 1e-10.
inline void mel_bands(const Tables& tables, const float* power, float* to, int64_t stride) {
    for (int band = 0; band < kMels; ++band) {
        VecF even{}, odd{};
        const float* from = power + tables.mel_first[band] * kFrames;
        const float *weight = tables.mel_weight + tables.mel_offset[band], *const end = tables.mel_weight + tables.mel_offset[band + 1];
        for (; weight + 1 < end; weight += 2, from += 2 * kFrames) {
            even = fma(load<VecF>(from), same<VecF>(weight[0]), even);
            odd = fma(load<VecF>(from + kFrames), same<VecF>(weight[1]), odd);
        }
        if (weight < end) even = fma(load<VecF>(from), same<VecF>(weight[0]), even);
        store(to + band * stride, log10_of(most(even + odd, same<VecF>(1e-10f))) * same<VecF>(10.0f));
    }
}

// Frequency and height of the peaks of each frame's power, by a parabola through three bins; rounded as librosa rounds.
inline int64_t find_peaks(const Tables& tables, const float* power, int frames, float* to) {
    VecF highest{};
    for (int bin = 0; bin < kBins; ++bin) highest = most(highest, load<VecF>(power + bin * kFrames));
    const VecF least_height = highest * same<VecF>(0.1f);
    const unsigned valid = frames >= kFrames ? ~0u : (1u << frames) - 1;
    int64_t found = 0;
    for (int bin = tables.pitch_first; bin <= tables.pitch_last; ++bin) {
        const float* here = power + bin * kFrames;
        const VecF x = load<VecF>(here), before = load<VecF>(here - kFrames), after = load<VecF>(here + kFrames);
        for (unsigned set = bits((x > least_height) & (x > before) & (x >= after)) & valid; set; set &= set - 1) {
            const int lane = __builtin_ctz(set);
            const float left = here[lane - kFrames], middle = here[lane], right = here[lane + kFrames];
            const double curve = static_cast<double>(left + right) - 2.0 * middle, slope = static_cast<double>(right - left) / 2;
            const float shift = std::fabs(slope) >= std::fabs(curve) ? 0.0f : static_cast<float>(-slope / curve);
            const float gradient = (right - left) / 2.0f;
            to[2 * found] = static_cast<float>((static_cast<double>(bin) + shift) * tables.rate / kFrame);
            to[2 * found + 1] = middle + 0.5f * gradient * shift;
            ++found;
        }
    }
    return found;
}

}  // namespace LEVEL
