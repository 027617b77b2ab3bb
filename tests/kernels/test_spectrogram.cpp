// Log-filtered spectrograms of all kinds of samples and hops, against scalar code.
#include "by_level.hpp"
#include "check.hpp"
#include "plan.hpp"
#include "reference.hpp"

TABLE_BY_LEVEL(level_named, Level, level)

namespace {

constexpr int kBands = 21, kHalf = kFrame / 2;

// Triangles that overlap, (1024, bands).
std::vector<float> filterbank() {
    std::vector<float> weights(static_cast<size_t>(kHalf) * kBands);
    for (int band = 0; band < kBands; ++band)
        for (int bin = 0; bin < kHalf; ++bin) {
            const double height = 1 - std::fabs(bin - 40.0 * band - 30) / (10 + 3 * band);
            if (height > 0) weights[static_cast<size_t>(bin) * kBands + band] = static_cast<float>(height / 20);
        }
    return weights;
}

template <class Sample> void spectrograms(const Level& level, double hop, bool single) {
    constexpr bool integer = std::is_same_v<Sample, int16_t>;
    constexpr int64_t stems = 2, samples = 9011;
    auto taper = reference::hann(kFrame);
    if (integer)
        for (double& value : taper) value /= 32767;
    const auto bank = filterbank();
    const plan::Plan plan(level, hop, taper.data(), bank.data(), kBands);
    std::vector<Sample> signals;
    for (double value : check::Random(4).many<double>(stems * samples)) signals.push_back(static_cast<Sample>(integer ? 32767 * value : value));
    const auto frames = static_cast<int64_t>(std::ceil(samples / hop));
    std::vector<float> found(static_cast<size_t>(stems * frames * kBands));
    const Job job{signals.data(), integer, single, stems, samples, frames, found.data()};
    const int64_t blocks = (frames + level.frames - 1) / level.frames;
    for (int64_t stem = 0; stem < stems; ++stem)
        for (int64_t block = 0; block < blocks; block += 2)  // chunks of two blocks
            check::that(level.run(plan.tables, job, stem, block, std::min(block + 2, blocks)), "run: expected finite values");

    std::vector<double> expected;
    for (int64_t stem = 0; stem < stems; ++stem)
        for (int64_t frame = 0; frame < frames; ++frame) {
            const auto begin = static_cast<int64_t>(static_cast<double>(frame) * hop) - kHalf;
            const auto spectrum = reference::spectrum(signals.data() + stem * samples, samples, begin, taper);
            for (int band = 0; band < kBands; ++band) {
                double sum = 0;
                for (int bin = 0; bin < kHalf; ++bin) sum += bank[static_cast<size_t>(bin) * kBands + band] * std::abs(spectrum[bin]);
                expected.push_back(std::log10(1 + sum));
            }
        }
    const std::string what = std::string(integer ? "int16" : "float") + (single ? ", transform in float" : "") + ", hop " + std::to_string(hop);
    check::close(what, found, expected, single ? 2e-5 : 1e-6);
}

// What is not finite is reported, wherever it lies in a block.
void sick_samples(const Level& level) {
    const auto taper = reference::hann(kFrame);
    const auto bank = filterbank();
    const plan::Plan plan(level, 441, taper.data(), bank.data(), kBands);
    for (const float bad : {NAN, INFINITY, 1e25f})
        for (const int64_t at : {1, 2205, 4400}) {
            std::vector<float> signal(4410), found(10 * kBands);
            signal[static_cast<size_t>(at)] = bad;
            const Job job{signal.data(), false, false, 1, 4410, 10, found.data()};
            check::that(!level.run(plan.tables, job, 0, 0, (10 + level.frames - 1) / level.frames), "run: expected false for " + std::to_string(bad));
        }
}

}  // namespace

int main() {
    check::each_level([](const std::string& name) {
        const Level& level = level_named(name);
        spectrograms<float>(level, 441, false);
        spectrograms<float>(level, 441, true);
        spectrograms<float>(level, 220.5, false);
        spectrograms<int16_t>(level, 480, false);
        spectrograms<int16_t>(level, 220.5, true);
        sick_samples(level);
    });
    return check::done("spectrogram");
}
