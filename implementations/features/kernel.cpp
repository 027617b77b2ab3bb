// Blocks of 16 frames run through everything while they are in the cache: transform, brightness, mel bands, peaks, and, one block later
// because medians look 15 frames ahead, the separation. Chunks of blocks are independent: each begins two blocks early.
#include "kernel.hpp"

#include "passes.hpp"
#include "resampling.hpp"
#include "separation.hpp"

namespace LEVEL {
namespace {

// What the samples say without a transform, for segments first .. last - 1.
void measure_segments(const Job& job, int64_t first, int64_t last) {
    const VecF threshold = same<VecF>(-1e-10f);
    const auto negative = [](float x) { return x < -1e-10f; };  // librosa takes what is smaller for zero, and zero for positive
    for (int64_t segment = first; segment < last; ++segment) {
        const int64_t begin = segment * kSegment, end = begin + kSegment < job.count ? begin + kSegment : job.count;
        Sums energy, level;
        VecI changes{};
        int64_t i = begin;
        double rest = 0, rest_level = 0;
        int32_t rest_changes = 0;
        const auto one = [&](int64_t at) {
            rest += static_cast<double>(job.samples[at]) * job.samples[at];
            rest_level += std::fabs(static_cast<double>(job.samples[at]));
            rest_changes += at && negative(job.samples[at]) != negative(job.samples[at - 1]);
        };
        one(i++);  // the first sample has none before it
        job.starts[segment] = rest_changes;
        for (; i + kFrames <= end; i += kFrames) {
            const VecF x = load<VecF>(job.samples + i);
            energy.run = fma(x, x, energy.run);
            level.add(most(x, -x));
            changes = changes - ((x < threshold) ^ (load<VecF>(job.samples + i - 1) < threshold));
            if (i - begin > 256 && i - begin <= 256 + kFrames) energy.fold(), level.fold();
        }
        for (; i < end; ++i) one(i);
        for (int lane = 0; lane < kFrames; ++lane) rest_changes += changes[lane];
        job.energy[segment] = energy.all() + rest;
        job.level[segment] = level.all() + rest_level;
        job.crossings[segment] = rest_changes;
    }
}

// Spectra of a block; of one that belongs to the chunk also what they say. Returns the number of peaks found.
int64_t describe(const Tables& tables, const Job& job, Memory& memory, int64_t block, bool own, float* peaks) {
    Spectra& spectra = memory.spectra[block % 2];
    int64_t found = 0;
    gather(tables, job.samples, job.count, block, memory);
    for (int group = 0; group < kGroups; ++group) {
        transform_block(tables, memory, group, spectra);
        unfold(tables, memory, block, group, spectra);
        const int64_t first = block * kBlock + group * kFrames;
        if (!own || first >= job.frames) continue;
        const int frames = static_cast<int>(job.frames - first < kFrames ? job.frames - first : kFrames);
        const float* magnitude = spectra.magnitude + (group * kMagnitudes + kReach) * kFrames;
        brightness(tables, magnitude, job.centroid + first, job.rolloff + first, frames);
        for (int bin = 0; bin < kBins; ++bin) {
            const VecF m = load<VecF>(magnitude + bin * kFrames);
            store(memory.power + bin * kFrames, m * m);
        }
        mel_bands(tables, memory.power, job.mel + first, job.mel_stride);
        if (job.peaks) found += find_peaks(tables, memory.power, frames, peaks + 2 * found);
    }
    return found;
}

void separate(const Tables& tables, const Job& job, Memory& memory, int64_t block, bool own) {
    const Spectra& spectra = memory.spectra[block % 2];
    for (int group = 0; group < kGroups; ++group) medians_over_bins(memory, group, spectra);
    mask(tables, job, memory, block, spectra);
    for (int group = 0; group < kGroups; ++group) {
        invert(tables, memory, group);
        if (own) add_up(tables, job, memory, block * kBlock + group * kFrames);
    }
}

int64_t analyze(const Tables& tables, const Job& job, int64_t first, int64_t last) {
    Memory& memory = mine();
    int64_t found = 0;
    const auto describe_own = [&](int64_t block) {
        const bool own = block >= first && block < last;
        found += describe(tables, job, memory, block, own, job.peaks ? job.peaks + 2 * found : nullptr);
    };
    if (job.separate) {
        std::memset(memory.overlap, 0, sizeof(float) * kFrame * 2 * kFrames);
        for (int64_t block = first - 2 > 0 ? first - 2 : 0; block <= last; ++block) {
            describe_own(block);  // one block ahead
            if (block > 0 && block > first - 1) separate(tables, job, memory, block - 1, block - 1 >= first);
        }
    } else {
        for (int64_t block = first; block < last; ++block) describe_own(block);
    }
    const int64_t per_block = kBlock * tables.hop / kSegment, segments = (job.count + kSegment - 1) / kSegment;
    measure_segments(job, first * per_block, last * per_block < segments ? last * per_block : segments);
    return found;
}

void chroma(const Tables& tables, const Job& job, const float* weights, int64_t first, int64_t last, double* sums) {
    Sums lanes[kPitches];
    for (int64_t block = first; block < last; ++block) chroma_block(tables, job, weights, block, mine(), lanes);
    for (int c = 0; c < kPitches; ++c) sums[c] += lanes[c].all();
}

void onsets(const float* mel, int64_t stride, float floor, int64_t first, int64_t last, float* strength, double* sums) {
    Sums lanes[kMels];
    for (int64_t frame = first; frame < last; frame += kFrames) {
        onset_block(mel, stride, same<VecF>(floor), frame, last, strength, lanes);
        if ((frame - first) / kFrames % 16 == 15)
            for (Sums& lane : lanes) lane.fold();
    }
    for (int band = 0; band < kMels; ++band) sums[band] += lanes[band].all();
}

void tempogram(const Tables& tables, const float* envelope, const double* window, int length, int64_t first, int64_t last, double* sums) {
    Memory& memory = mine();
    VecD* lanes = reinterpret_cast<VecD*>(memory.overlap);
    std::memset(lanes, 0, sizeof(VecD) * kBins);
    for (int64_t frame = first; frame < last; frame += kFrames) tempogram_block(tables, envelope, window, length, frame, last, memory, lanes);
    for (int bin = 0; bin < kBins; ++bin)
        for (int i = 0; i < kFrames / 2; ++i) sums[bin] += lanes[bin][i];
}

void median(const float* in, float* out, int64_t rows, int64_t columns, int axis, int64_t first, int64_t last) {
    if (axis == 0) {
        for (int64_t unit = first; unit < last; ++unit) median_down(in, out, rows, columns, unit * kFrames);
        return;
    }
    float* turned = Memory::floats(static_cast<size_t>(columns + kFrames) * kFrames);
    for (int64_t unit = first; unit < last; ++unit) median_across(in, out, rows, columns, unit * kFrames, turned);
    std::free(turned);
}

void resample(const Resampler& of, const float* in, int64_t count, float* out, int64_t wanted, int64_t first, int64_t last) {
    float* scratch = Memory::floats(static_cast<size_t>(resampling_scratch(of)));
    resample_blocks(of, in, count, out, wanted, first, last, scratch);
    std::free(scratch);
}

}  // namespace

extern const Level level = {kFrames, analyze, chroma, onsets, tempogram, median, resample};

}  // namespace LEVEL
