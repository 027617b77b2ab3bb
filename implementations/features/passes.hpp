// Passes of their own: chroma, which needs the tuning of the whole song; onsets, which need its loudest band; the tempogram.
#pragma once

#include "spectrum.hpp"

namespace LEVEL {

inline void chroma_block(const Tables& tables, const Job& job, const float* weights, int64_t block, Memory& memory, Sums* sums) {
    gather(tables, job.samples, job.count, block, memory);
    for (int group = 0; group < kGroups; ++group) {
        const int64_t first = block * kBlock + group * kFrames;
        if (first >= job.frames) return;
        float* const power = memory.spectra[0].re;
        transform_frames<float>(
            *tables.twiddles32, tables.window32, memory.rows, memory.inner,
            [&](int, int i) ALWAYS { return load<VecF>(memory.columns + group * kFrames + tables.at[i]); },
            [&](int, int place, int, bool, Complex<VecF> x) ALWAYS { store(power + place * kFrames, fma(x.re, x.re, x.im * x.im)); },
            [](int, int) ALWAYS {}, [](int, int) ALWAYS {});
        VecF chroma[kPitches] = {};
        for (int bin = 0; bin < kBins; ++bin) {
            const VecF p = load<VecF>(power + tables.place[bin] * kFrames);
#pragma GCC unroll 12
            for (int c = 0; c < kPitches; ++c) chroma[c] = fma(p, same<VecF>(weights[bin * kPitches + c]), chroma[c]);
        }
        VecF highest = chroma[0], exists;
        for (int c = 1; c < kPitches; ++c) highest = most(highest, chroma[c]);
        for (int i = 0; i < kFrames; ++i) exists[i] = first + i < job.frames ? 1.0f : 0.0f;
        highest = highest < same<VecF>(1.17549435e-38f) ? same<VecF>(1.0f) : highest;
        for (int c = 0; c < kPitches; ++c) sums[c].add(chroma[c] / highest * exists);
    }
    for (int c = 0; c < kPitches; ++c) sums[c].fold();
}

// Batcher's network for 128 values: the middle of them needs nearly all of it.
struct Network {
    static constexpr int kOrders = 1471;
    uint8_t low[kOrders], high[kOrders];
    constexpr Network() : low{}, high{} {
        int count = 0;
        for (int p = 1; p < kMels; p *= 2)
            for (int k = p; k >= 1; k /= 2)
                for (int j = k % p; j + k < kMels; j += 2 * k)
                    for (int i = j; i < j + k && i + k < kMels; ++i)
                        if (i / (2 * p) == (i + k) / (2 * p)) low[count] = static_cast<uint8_t>(i), high[count++] = static_cast<uint8_t>(i + k);
    }
};
constexpr Network kNetwork;

// The mean of the two middle ones of 128 rises from frame to frame. sums: (kMels).
inline void onset_block(const float* mel, int64_t stride, VecF floor, int64_t first, int64_t last, float* strength, Sums* sums) {
    VecF rise[kMels], exists;
    for (int i = 0; i < kFrames; ++i) exists[i] = first + i < last ? 1.0f : 0.0f;
    for (int band = 0; band < kMels; ++band) {
        const float* from = mel + band * stride + first;
        const VecF now = most(load<VecF>(from), floor);
        rise[band] = most(now - most(load<VecF>(from - 1), floor), VecF{});
        sums[band].add(now * exists);
    }
    for (int i = 0; i < Network::kOrders; ++i) order(rise[kNetwork.low[i]], rise[kNetwork.high[i]]);
    const VecF middle = (rise[kMels / 2 - 1] + rise[kMels / 2]) * same<VecF>(0.5f);
    for (int i = 0; i < kFrames && first + i < last; ++i) strength[first + i] = middle[i];
}

// Adds the power spectra of neighbouring windows, a lane each, to sums (kBins) of registers: sample n of all lies at envelope + n.
inline void tempogram_block(const Tables& tables, const float* envelope, const double* window, int length, int64_t first, int64_t last,
                            Memory& memory, VecD* sums) {
    constexpr int n = kFrames / 2;
    VecD scale[2];
    for (int part = 0; part < 2; ++part) {
        VecD energy{};
        for (int i = 0; i < length; ++i) {
            const VecD x = widen(load<HalfF>(envelope + first + part * n + i)) * same<VecD>(window[i]);
            energy = fma(x, x, energy);
        }
        for (int i = 0; i < n; ++i) scale[part][i] = first + part * n + i < last && energy[i] > 0 ? 1 / energy[i] : 0.0;
    }
    transform_frames<double>(
        *tables.twiddles, window + kFrame, memory.rows, memory.inner,
        [&](int part, int i) ALWAYS { return widen(load<HalfF>(envelope + first + part * n + i % 32 * 64 + i / 32)); },
        [&](int part, int, int bin, bool mirrored, Complex<VecD> x) ALWAYS {
            if (mirrored && bin == kFrame / 4) return;  // the packed row yields it twice
            sums[bin] = fma(fma(x.re, x.re, x.im * x.im), scale[part], sums[bin]);
        },
        [](int, int) ALWAYS {}, [](int, int) ALWAYS {});
}

// out(o, median) for windows tile .. tile + 15 of a sequence of n registers, at(i) giving number i.
template <class At, class Out> INLINE void medians_of(int64_t tile, int64_t n, At at, Out out) {
    if (tile >= kReach && tile + kTile + kReach <= n)
        medians([&](int i) ALWAYS { return at(tile + i - kReach); }, out);
    else
        medians([&](int i) ALWAYS { return at(reflected(tile + i - kReach, n)); }, out);
}

// Medians along axis 0 of kFrames columns from `first` on; there are at least as many.
inline void median_down(const float* in, float* out, int64_t rows, int64_t columns, int64_t first) {
    const int64_t from = first + kFrames <= columns ? first : columns - kFrames;
    for (int64_t tile = 0; tile < rows; tile += kTile)
        medians_of(
            tile, rows, [&](int64_t i) ALWAYS { return load<VecF>(in + i * columns + from); },
            [&](int o, VecF v) ALWAYS {
                if (tile + o < rows) store(out + (tile + o) * columns + from, v);
            });
}

// Medians along axis 1 of kFrames rows from `first` on, turned so that they lie side by side in `turned`.
inline void median_across(const float* in, float* out, int64_t rows, int64_t columns, int64_t first, float* turned) {
    const auto width = [&](int64_t column) { return static_cast<size_t>(columns - column < kFrames ? columns - column : kFrames); };
    for (int64_t column = 0; column < columns; column += kFrames) {
        VecF tile[kFrames] = {};
        for (int i = 0; i < kFrames && first + i < rows; ++i) std::memcpy(&tile[i], in + (first + i) * columns + column, sizeof(float) * width(column));
        transpose(tile);
        for (int i = 0; i < kFrames; ++i) store(turned + (column + i) * kFrames, tile[i]);
    }
    for (int64_t tile = 0; tile < columns; tile += kTile) {
        VecF found[kTile];
        medians_of(
            tile, columns, [&](int64_t i) ALWAYS { return load<VecF>(turned + i * kFrames); }, [&](int o, VecF v) ALWAYS { found[o] = v; });
        for (int64_t column = tile; column < tile + kTile && column < columns; column += kFrames) {
            VecF square[kFrames];
            for (int i = 0; i < kFrames; ++i) square[i] = found[column - tile + i];
            transpose(square);
            for (int i = 0; i < kFrames && first + i < rows; ++i)
                std::memcpy(out + (first + i) * columns + column, &square[i], sizeof(float) * width(column));
        }
    }
}

}  // namespace LEVEL
