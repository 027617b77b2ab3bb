// What every dispatch level computes, and from what: numbers and pointers only (transform.hpp says why).
#pragma once

#include <cstdint>

#include "resampler.hpp"
#include "transform.hpp"

constexpr int kBins = kFrame / 2 + 1;
constexpr int kBlock = 16;      // frames at a time, at every level
constexpr int kSegment = 512;   // samples; hops and frames are whole numbers of them
constexpr int kMels = 128;
constexpr int kPitches = 12;

// One sample rate and hop, prepared.
struct Tables {
    double rate;
    int32_t hop;                       // 512 or 1024
    int32_t stride;                    // between rows of the transposed samples (spectrum.hpp)
    const int32_t* at;                 // (64, 32): where samples n2 + 64 n1 of a frame lie in them
    const int32_t* spread;             // (64, 32): where values n2 + 64 n1 of a spectrum to be inverted lie, in registers (separation.hpp)
    const double* window;              // (64, 32), in the same order
    const float *window32, *scale32;   // the same in float; 1 / 2048 everywhere
    const float* hann;                 // (2048), to weight what is inverted
    const float* norm;                 // (16, 512): one over the summed squares of the windows that are there, a bit for each of four
    const Twiddles<double>* twiddles;
    const Twiddles<float>* twiddles32;
    const int32_t* place;              // (kBins): where the transform leaves a bin, in registers
    const int32_t *mel_first, *mel_offset;  // band b sums mel_weight[i] * power[mel_first[b] + i - mel_offset[b]], i = mel_offset[b] ..
    const float* mel_weight;
    int32_t pitch_first, pitch_last;   // bins where peaks are looked for, 150 to 4000 Hz; none where last < first
};

// One recording. Results are per frame, per segment of 512 samples, or per chunk of blocks.
struct Job {
    const float* samples;
    int64_t count, frames;
    bool separate;                     // into harmonic and percussive parts
    double *centroid, *rolloff;        // (frames), Hz
    float* mel;                        // (kMels, mel_stride) dB
    int64_t mel_stride;
    float* peaks;                      // (peaks of a chunk, 2): Hz, power; null where nobody asks
    double *energy, *level, *harmonic; // (segments): sums of squares, of magnitudes, of magnitudes of the harmonic part
    int32_t *crossings, *starts;       // (segments): changes of sign, and whether the first sample is one
};

struct Level {
    int lanes;
    // All of a Job for blocks first .. last - 1; the number of peaks found.
    int64_t (*analyze)(const Tables& tables, const Job& job, int64_t first, int64_t last);
    // Adds each frame's chroma, scaled to a maximum of 1, to sums (12). weights: (kBins, 12).
    void (*chroma)(const Tables& tables, const Job& job, const float* weights, int64_t first, int64_t last, double* sums);
    // Onset strength of frames first .. last - 1 of a mel spectrogram in dB, held above `floor`; adds the bands' levels to sums (kMels).
    void (*onsets)(const float* mel, int64_t stride, float floor, int64_t first, int64_t last, float* strength, double* sums);
    // Adds the power spectra of windows first .. last - 1 of `envelope`, each divided by its energy, to sums (kBins).
    void (*tempogram)(const Tables& tables, const float* envelope, const double* window, int length, int64_t first, int64_t last, double* sums);
    // Running medians of 31 along an axis of (rows, columns), reflected at the ends: units first .. last - 1 of `lanes` columns or rows.
    void (*median)(const float* in, float* out, int64_t rows, int64_t columns, int axis, int64_t first, int64_t last);
    // Blocks first .. last - 1 of `lanes` periods at another rate.
    void (*resample)(const Resampler& of, const float* in, int64_t count, float* out, int64_t wanted, int64_t first, int64_t last);
};
