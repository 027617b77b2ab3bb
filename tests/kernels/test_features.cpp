// Everything that the features' kernel computes of a recording, its medians, and other rates, against scalar code.
#include "by_level.hpp"
#include "check.hpp"
#include "plan.hpp"
#include "reference.hpp"
#include "resampler_plan.hpp"

TABLE_BY_LEVEL(level_named, Level, level)

namespace {

constexpr double kRate = 22050;
constexpr int64_t kCount = 26017;  // samples: 51 segments and a part of one, 51 frames, a last block of three

std::vector<float> mel_bank() {
    std::vector<float> weights(static_cast<size_t>(kMels) * kBins);
    for (int band = 0; band < kMels; ++band)
        for (int bin = 0; bin < kBins; ++bin) {
            const double height = 1 - std::fabs(bin - 7.5 * band - 8) / (4 + 0.1 * band);
            if (height > 0) weights[static_cast<size_t>(band) * kBins + bin] = static_cast<float>(height / 100);
        }
    return weights;
}

// Tones that change, a click now and then, some noise.
std::vector<float> recording() {
    check::Random random(5);
    std::vector<float> samples;
    for (int64_t i = 0; i < kCount; ++i) {
        const double t = static_cast<double>(i) / kRate, pitch = i < kCount / 2 ? 440 : 587;
        const double click = i % 6000 < 40 ? 0.5 * random() : 0;
        samples.push_back(static_cast<float>(0.3 * std::sin(2 * reference::kPi * pitch * t) + 0.1 * std::sin(7 * pitch * t) + click + 0.02 * random()));
    }
    return samples;
}

// A recording as librosa would take it apart, in double.
struct Expected {
    std::vector<reference::Spectrum> spectra;
    std::vector<std::vector<float>> magnitudes;  // (frames, bins)
    std::vector<double> centroid, rolloff, decibels, energy, level, harmonic;
    std::vector<int> crossings;
    int peaks = 0;
    double peak_hertz = 0;

    Expected(const std::vector<float>& samples, int hop, const std::vector<float>& mel) {
        const auto window = reference::hann(kFrame);
        for (int64_t frame = 0; frame <= kCount / hop; ++frame) {
            spectra.push_back(reference::spectrum(samples.data(), kCount, frame * hop - kFrame / 2, window));
            magnitudes.emplace_back();
            for (int bin = 0; bin < kBins; ++bin) magnitudes.back().push_back(static_cast<float>(std::abs(spectra.back()[bin])));
        }
        decibels.resize(kMels * spectra.size());
        for (size_t frame = 0; frame < spectra.size(); ++frame) describe(frame, mel);
        for (int64_t begin = 0; begin < kCount; begin += kSegment) measure(samples, begin);
        if (hop == kSegment) separate(window);
    }

  private:
    void describe(size_t frame, const std::vector<float>& mel) {
        const auto& m = magnitudes[frame];
        double sum = 0, weighted = 0, part = 0, highest = 0;
        for (int bin = 0; bin < kBins; ++bin) sum += m[bin], weighted += static_cast<double>(m[bin]) * bin, highest = std::max(highest, double(m[bin]));
        centroid.push_back(kRate / kFrame * weighted / sum);
        int bin = 0;
        while ((part += m[bin]) < 0.85 * sum) ++bin;
        rolloff.push_back(kRate / kFrame * bin);
        for (int band = 0; band < kMels; ++band) {
            double power = 0;
            for (int i = 0; i < kBins; ++i) power += static_cast<double>(mel[static_cast<size_t>(band) * kBins + i]) * m[i] * m[i];
            decibels[band * spectra.size() + frame] = 10 * std::log10(std::max(power, 1e-10));
        }
        for (int i = static_cast<int>(std::ceil(150 * kFrame / kRate)); i * kRate / kFrame < 4000; ++i) {
            const double here = double(m[i]) * m[i], before = double(m[i - 1]) * m[i - 1], after = double(m[i + 1]) * m[i + 1];
            if (!(here > 0.1 * highest * highest && here > before && here >= after)) continue;
            const double curve = before + after - 2 * here, slope = (after - before) / 2;
            peak_hertz += (i + (std::fabs(slope) >= std::fabs(curve) ? 0 : -slope / curve)) * kRate / kFrame;
            ++peaks;
        }
    }
    void measure(const std::vector<float>& samples, int64_t begin) {
        double squares = 0, sizes = 0;
        int changes = 0;
        for (int64_t i = begin; i < std::min(begin + kSegment, kCount); ++i) {
            squares += double(samples[i]) * samples[i], sizes += std::fabs(double(samples[i]));
            changes += i && (samples[i] < -1e-10f) != (samples[i - 1] < -1e-10f);
        }
        energy.push_back(squares), level.push_back(sizes), crossings.push_back(changes);
    }
    // The part that is steady in time: medians, a soft mask, the inverse transform, overlap and add.
    void separate(const std::vector<double>& window) {
        const auto frames = static_cast<int64_t>(spectra.size());
        std::vector<std::vector<float>> steady;
        for (int bin = 0; bin < kBins; ++bin) steady.push_back(reference::medians(frames, [&](int64_t frame) { return magnitudes[frame][bin]; }));
        std::vector<double> sum(frames * kSegment + kFrame), norm(sum.size());
        for (int64_t frame = 0; frame < frames; ++frame) {
            const auto sudden = reference::medians(kBins, [&](int64_t bin) { return magnitudes[frame][bin]; });
            reference::Spectrum masked(kFrame);
            for (int bin = 0; bin < kBins; ++bin) {
                const double a = steady[bin][frame], b = sudden[bin];
                masked[bin] = std::conj(spectra[frame][bin] * (a * a / (a * a + b * b)));  // conjugate: an inverse by a forward transform
                if (bin && bin < kFrame / 2) masked[kFrame - bin] = std::conj(masked[bin]);
            }
            const auto part = reference::fft(masked);
            for (int n = 0; n < kFrame; ++n) {
                sum[frame * kSegment + n] += window[n] * part[n].real() / kFrame;
                norm[frame * kSegment + n] += window[n] * window[n];
            }
        }
        harmonic.resize(energy.size());
        for (int64_t i = 0; i < kCount; ++i) harmonic[i / kSegment] += std::fabs(sum[i + kFrame / 2] / norm[i + kFrame / 2]);
    }
};

// What the kernel says of the recording, in two chunks: each begins two blocks early.
struct Found {
    int64_t frames, stride;
    std::vector<double> centroid, rolloff, energy, level, harmonic;
    std::vector<int32_t> crossings, starts;
    std::vector<float> mel, peaks;
    int64_t peak_count = 0;

    Found(const Level& of, const plan::Plan& plan, const std::vector<float>& samples, bool separated)
        : frames(1 + kCount / plan.tables.hop), stride(frames + 1 + 2 * kBlock), centroid(frames), rolloff(frames),
          energy((kCount + kSegment - 1) / kSegment), level(energy.size()), harmonic(energy.size()), crossings(energy.size()),
          starts(energy.size()), mel(kMels * stride), peaks(2 * plan.most_peaks(frames + 2 * kBlock)) {
        Job job{samples.data(), kCount, frames, separated, centroid.data(), rolloff.data(), mel.data() + 1, stride, peaks.data(),
                energy.data(), level.data(), harmonic.data(), crossings.data(), starts.data()};
        const int64_t blocks = (frames + 2 + kBlock - 1) / kBlock, middle = blocks / 2;
        peak_count = of.analyze(plan.tables, job, 0, middle);
        job.peaks += 2 * peak_count;
        peak_count += of.analyze(plan.tables, job, middle, blocks);
    }
    std::vector<float> decibels() const {
        std::vector<float> found;
        for (int band = 0; band < kMels; ++band) found.insert(found.end(), mel.begin() + band * stride + 1, mel.begin() + band * stride + 1 + frames);
        return found;
    }
};

void recordings(const Level& level, const std::vector<float>& samples, const std::vector<float>& mel, const Expected& expected, int hop) {
    const auto taper = reference::hann(kFrame);
    const plan::Plan plan(level, kRate, hop, taper.data(), mel.data());
    const Found found(level, plan, samples, hop == kSegment);
    check::close("centroid", found.centroid, expected.centroid, 0, 1e-6);
    check::close("rolloff", found.rolloff, expected.rolloff, kRate / kFrame + 1e-9);  // a sum in float may pass the threshold a bin apart
    check::close("mel bands", found.decibels(), expected.decibels, 2e-5);
    check::close("energy", found.energy, expected.energy, 0, 1e-6);
    check::close("level", found.level, expected.level, 0, 1e-6);
    check::close("crossings", found.crossings, expected.crossings, 0);
    check::that(found.peak_count == expected.peaks, "peaks: expected " + std::to_string(expected.peaks) + ", found " + std::to_string(found.peak_count));
    double hertz = 0;
    for (int64_t i = 0; i < found.peak_count; ++i) hertz += found.peaks[static_cast<size_t>(2 * i)];
    check::close("frequencies of the peaks", std::vector<double>{hertz}, std::vector<double>{expected.peak_hertz}, 0, 1e-6);
    if (hop == kSegment) check::close("harmonic part", found.harmonic, expected.harmonic, 1e-5, 1e-5);

    std::vector<float> strength(found.frames);
    std::vector<double> sums(kMels), rises, totals(kMels);
    const float floor = -30;
    level.onsets(found.mel.data() + 1, found.stride, floor, 0, found.frames, strength.data(), sums.data());
    for (int64_t frame = 0; frame < found.frames; ++frame) {
        std::vector<double> rise;
        for (int band = 0; band < kMels; ++band) {
            const float* here = found.mel.data() + band * found.stride + 1 + frame;
            rise.push_back(std::max(0.0f, std::max(here[0], floor) - std::max(here[-1], floor)));
            totals[band] += std::max(here[0], floor);
        }
        std::sort(rise.begin(), rise.end());
        rises.push_back((rise[kMels / 2 - 1] + rise[kMels / 2]) / 2);
    }
    check::close("onsets", strength, rises, 1e-6, 1e-6);
    check::close("levels of the bands", sums, totals, 0, 1e-6);
}

void pitches(const Level& level, const std::vector<float>& samples, const std::vector<float>& mel, const Expected& expected) {
    const auto taper = reference::hann(kFrame);
    const plan::Plan plan(level, kRate, kSegment, taper.data(), mel.data());
    Job job{};
    job.samples = samples.data(), job.count = kCount, job.frames = 1 + kCount / kSegment;
    auto weights = check::Random(6).many(static_cast<size_t>(kBins) * kPitches);
    for (float& weight : weights) weight = std::fabs(weight);
    std::vector<double> found(kPitches), sums(kPitches);
    level.chroma(plan.tables, job, weights.data(), 0, (job.frames + kBlock - 1) / kBlock, found.data());
    for (const auto& spectrum : expected.spectra) {
        std::vector<double> chroma(kPitches);
        for (int bin = 0; bin < kBins; ++bin)
            for (int pitch = 0; pitch < kPitches; ++pitch) chroma[pitch] += weights[static_cast<size_t>(bin) * kPitches + pitch] * std::norm(spectrum[bin]);
        for (int pitch = 0; pitch < kPitches; ++pitch) sums[pitch] += chroma[pitch] / *std::max_element(chroma.begin(), chroma.end());
    }
    check::close("chroma", found, sums, 0, 1e-5);
}

void tempograms(const Level& level, const std::vector<float>& mel) {
    constexpr int64_t frames = 37, length = 384;
    const auto taper = reference::hann(kFrame), window = reference::hann(length);
    const plan::Plan plan(level, kRate, kSegment, taper.data(), mel.data());
    const auto envelope = check::Random(7).many(frames + kFrame + kBlock);
    std::vector<double> windows(2 * kFrame), found(kBins), expected(kBins);
    for (int n = 0; n < length; ++n) windows[n] = windows[kFrame + 32 * (n % 64) + n / 64] = window[n];
    level.tempogram(plan.tables, envelope.data(), windows.data(), length, 0, frames, found.data());
    auto padded = window;
    padded.resize(kFrame);
    for (int64_t frame = 0; frame < frames; ++frame) {
        const auto spectrum = reference::spectrum(envelope.data() + frame, kFrame, 0, padded);
        double energy = 0;
        for (int n = 0; n < length; ++n) energy += window[n] * envelope[frame + n] * window[n] * envelope[frame + n];
        for (int bin = 0; bin < kBins; ++bin) expected[bin] += std::norm(spectrum[bin]) / energy;
    }
    check::close("tempogram", found, expected, 1e-9, 1e-9);
}

// Shapes around tiles, registers and the reach of a window; ties, zeros and denormals.
void medians(const Level& level) {
    check::Random random(8);
    for (const int64_t rows : {1, 4, 17, 50})
        for (const int64_t columns : {16, 31, 49}) {
            auto values = random.many(static_cast<size_t>(rows * columns));
            for (float& value : values) value = random.bits() % 4 ? std::fabs(value) : random.bits() % 2 ? 0.25f : 1e-42f;
            std::vector<float> found(values.size()), across(values.size()), down(values.size());
            for (int64_t row = 0; row < rows; ++row) {
                const auto of = reference::medians(columns, [&](int64_t column) { return values[row * columns + column]; });
                std::copy(of.begin(), of.end(), across.begin() + row * columns);
            }
            for (int64_t column = 0; column < columns; ++column) {
                const auto of = reference::medians(rows, [&](int64_t row) { return values[row * columns + column]; });
                for (int64_t row = 0; row < rows; ++row) down[row * columns + column] = of[row];
            }
            level.median(values.data(), found.data(), rows, columns, 0, 0, (columns + level.lanes - 1) / level.lanes);
            check::that(found == down, "medians along axis 0 of " + std::to_string(rows) + " x " + std::to_string(columns));
            level.median(values.data(), found.data(), rows, columns, 1, 0, (rows + level.lanes - 1) / level.lanes);
            check::that(found == across, "medians along axis 1 of " + std::to_string(rows) + " x " + std::to_string(columns));
        }
}

// Every input meets the filter where it lies at the common multiple of both rates.
void rates(const Level& level) {
    constexpr int pairs[][2] = {{1, 2}, {147, 320}, {3, 2}, {441, 160}, {1, 1}};
    for (const auto& [up, down] : pairs)
        for (const int64_t count : {1, 700, 9001}) {
            const int64_t half = 10 * std::max(up, down), wanted = (count * up + down - 1) / down;
            const auto samples = check::Random(13).many(static_cast<size_t>(count));
            std::vector<float> filter, found(static_cast<size_t>(wanted));
            for (int64_t i = -half; i <= half; ++i) filter.push_back(static_cast<float>(1.0 / (3 + std::fabs(static_cast<double>(i)))));
            const ResamplerPlan plan(up, down, filter.data(), static_cast<int64_t>(filter.size()));
            check::that(plan.outputs(count) == wanted, "resample: how many");
            const int64_t block = plan.made().outputs * level.lanes, blocks = (wanted + block - 1) / block;
            for (int64_t i = 0; i < blocks; ++i) level.resample(plan.made(), samples.data(), count, found.data(), wanted, i, i + 1);
            std::vector<double> expected;
            for (int64_t output = 0; output < wanted; ++output) {
                double sum = 0;
                const int64_t near = output * down / up, reach = half / up + 2;
                for (int64_t input = std::max<int64_t>(0, near - reach); input < std::min(count, near + reach); ++input) {
                    const int64_t place = half + output * down - input * up;
                    if (place >= 0 && place <= 2 * half) sum += static_cast<double>(filter[place]) * samples[input];
                }
                expected.push_back(sum);
            }
            check::close("resample " + std::to_string(up) + " / " + std::to_string(down), found, expected, 1e-6);
        }
}

}  // namespace

int main() {
    const auto samples = recording(), mel = mel_bank();
    const Expected full(samples, 512, mel), lightweight(samples, 1024, mel);
    check::each_level([&](const std::string& name) {
        const Level& level = level_named(name);
        recordings(level, samples, mel, full, 512);
        recordings(level, samples, mel, lightweight, 1024);
        pitches(level, samples, mel, full);
        tempograms(level, mel);
        medians(level);
        rates(level);
    });
    return check::done("features");
}
