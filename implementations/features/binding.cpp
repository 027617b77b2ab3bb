// Python's door to the kernel: checks what would be undefined behaviour, picks the level, deals chunks out to threads.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "beats.hpp"
#include "by_level.hpp"
#include "plan.hpp"
#include "pool.hpp"
#include "resampler_plan.hpp"

namespace nb = nanobind;

TABLE_BY_LEVEL(level_named, Level, level)

namespace {

// Where chunks of `blocks` begin. Four chunks or a multiple, of 64 blocks at most, whatever the number of threads, so that results do not
// depend on it: sums are added chunk by chunk.
std::vector<int64_t> chunks(int64_t blocks, int64_t most = 64) {
    const int64_t count = std::min(blocks, (blocks + 4 * most - 1) / (4 * most) * 4);
    std::vector<int64_t> begin;
    for (int64_t i = 0; i <= count; ++i) begin.push_back(blocks * i / count);
    return begin;
}

template <class T, int dimensions> using Array = nb::ndarray<T, nb::ndim<dimensions>, nb::c_contig, nb::device::cpu>;
using Tapers = nb::ndarray<const double, nb::shape<2048>, nb::c_contig, nb::device::cpu>;
using MelBank = nb::ndarray<const float, nb::shape<kMels, kBins>, nb::c_contig, nb::device::cpu>;
using ChromaBank = nb::ndarray<const float, nb::shape<kBins, kPitches>, nb::c_contig, nb::device::cpu>;

void expect(bool right, const char* message) {
    if (!right) throw std::invalid_argument(message);
}

template <class T> std::vector<T> summed(const std::vector<std::vector<T>>& parts) {
    std::vector<T> total(parts.front().size());
    for (const auto& part : parts)
        for (size_t i = 0; i < part.size(); ++i) total[i] += part[i];
    return total;
}

template <class T> nb::object to_array(std::vector<T>&& values, std::vector<size_t> shape) {
    auto* held = new std::vector<T>(std::move(values));
    nb::capsule owner(held, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return nb::cast(nb::ndarray<nb::numpy, T>(held->data(), shape.size(), shape.data(), owner));
}

// frames: (2, frames) centroid and rolloff. mel: (128, stride), frame 0 in column 1. segments: (3, segments) energy, level, level of the
// harmonic part. counts: (2, segments) crossings, starts. Returns the peaks (n, 2).
nb::object analyze(const plan::Plan& plan, Array<const float, 1> samples, Array<double, 2> frames, Array<float, 2> mel, Array<double, 2> segments,
                   Array<int32_t, 2> counts, bool full, int threads) {
    Job job{};
    job.samples = samples.data(), job.count = static_cast<int64_t>(samples.shape(0)), job.frames = 1 + job.count / plan.tables.hop;
    const auto blocks = (job.frames + 2 + kBlock - 1) / kBlock;  // the harmonic part ends two segments after the last frame began
    const auto held = static_cast<size_t>((job.count + kSegment - 1) / kSegment);
    expect(job.count > 0, "samples: expected at least one");
    expect(!full || plan.tables.hop == kSegment, "full: expected a hop of 512 samples");
    expect(frames.shape(0) == 2 && frames.shape(1) == static_cast<size_t>(job.frames), "frames: expected shape (2, 1 + samples / hop)");
    expect(mel.shape(0) == kMels && mel.shape(1) >= static_cast<size_t>(job.frames + 1 + kBlock), "mel: expected shape (128, frames + 17 or more)");
    expect(segments.shape(0) == 3 && segments.shape(1) == held, "segments: expected shape (3, ceil(samples / 512))");
    expect(counts.shape(0) == 2 && counts.shape(1) == held, "counts: expected shape (2, ceil(samples / 512))");
    job.separate = full;
    job.centroid = frames.data(), job.rolloff = frames.data() + job.frames;
    job.mel = mel.data() + 1, job.mel_stride = static_cast<int64_t>(mel.shape(1));
    job.energy = segments.data(), job.level = segments.data() + held, job.harmonic = segments.data() + 2 * held;
    job.crossings = counts.data(), job.starts = counts.data() + held;
    const std::vector<int64_t> begin = chunks(blocks);
    std::vector<std::vector<float>> peaks(begin.size() - 1);
    {
        const nb::gil_scoped_release release;
        in_threads(threads, static_cast<int>(peaks.size()), [&](int i) {
            Job part = job;
            std::unique_ptr<float[]> room;  // left untouched where no peaks come
            if (full) room.reset(new float[static_cast<size_t>(2 * plan.most_peaks((begin[i + 1] - begin[i]) * kBlock))]);
            part.peaks = room.get();
            const int64_t found = plan.level->analyze(plan.tables, part, begin[i], begin[i + 1]);
            peaks[i].assign(room.get(), room.get() + 2 * found);
        });
    }
    std::vector<float> all;
    for (const auto& part : peaks) all.insert(all.end(), part.begin(), part.end());
    const size_t count = all.size() / 2;
    return to_array(std::move(all), {count, 2});
}

// Sums over frames, (12).
nb::object chroma(const plan::Plan& plan, Array<const float, 1> samples, ChromaBank weights, int threads) {
    Job job{};
    job.samples = samples.data(), job.count = static_cast<int64_t>(samples.shape(0)), job.frames = 1 + job.count / plan.tables.hop;
    const std::vector<int64_t> begin = chunks((job.frames + kBlock - 1) / kBlock);
    std::vector<std::vector<double>> sums(begin.size() - 1, std::vector<double>(kPitches));
    {
        const nb::gil_scoped_release release;
        in_threads(threads, static_cast<int>(sums.size()),
                   [&](int i) { plan.level->chroma(plan.tables, job, weights.data(), begin[i], begin[i + 1], sums[i].data()); });
    }
    return to_array(summed(sums), {kPitches});
}

// Fills strength (frames), of which the first is 0; returns the sums over frames of the bands' levels (128). mel: as analyze left it.
nb::object onsets(const plan::Plan& plan, Array<const float, 2> mel, float floor, Array<float, 1> strength, int threads) {
    const auto frames = static_cast<int64_t>(strength.shape(0));
    expect(mel.shape(0) == kMels && mel.shape(1) >= static_cast<size_t>(frames + 1 + kBlock), "mel: expected shape (128, frames + 17 or more)");
    const std::vector<int64_t> begin = chunks((frames + kBlock - 1) / kBlock);
    std::vector<std::vector<double>> sums(begin.size() - 1, std::vector<double>(kMels));
    {
        const nb::gil_scoped_release release;
        in_threads(threads, static_cast<int>(sums.size()), [&](int i) {
            plan.level->onsets(mel.data() + 1, static_cast<int64_t>(mel.shape(1)), floor, begin[i] * kBlock,
                               std::min(begin[i + 1] * kBlock, frames), strength.data(), sums[i].data());
        });
    }
    return to_array(summed(sums), {kMels});
}

// Sums over windows of their power spectra, each divided by its energy, (1025). envelope: frames + 2047 or more, with 16 to spare.
nb::object tempogram(const plan::Plan& plan, Array<const float, 1> envelope, Array<const double, 1> window, int64_t frames, int threads) {
    const auto length = static_cast<int>(window.shape(0));
    expect(length >= 1 && 2 * length - 1 <= kFrame, "window: expected 1 to 1024 values");
    expect(envelope.shape(0) >= static_cast<size_t>(frames + kFrame + kBlock), "envelope: expected frames + 2064 values or more");
    std::vector<double> windows(2 * kFrame);
    for (int n = 0; n < length; ++n) windows[n] = windows[kFrame + 32 * (n % 64) + n / 64] = window.data()[n];
    const std::vector<int64_t> begin = chunks((frames + kBlock - 1) / kBlock);
    std::vector<std::vector<double>> sums(begin.size() - 1, std::vector<double>(kBins));
    {
        const nb::gil_scoped_release release;
        in_threads(threads, static_cast<int>(sums.size()), [&](int i) {
            plan.level->tempogram(plan.tables, envelope.data(), windows.data(), length, begin[i] * kBlock,
                                  std::min(begin[i + 1] * kBlock, frames), sums[i].data());
        });
    }
    return to_array(summed(sums), {kBins});
}

void track(Array<const double, 1> scores, double period, double tightness, Array<double, 1> cumulative, Array<int32_t, 1> before) {
    expect(cumulative.shape(0) == scores.shape(0) && before.shape(0) == scores.shape(0), "cumulative, before: expected the length of scores");
    expect(period >= 2 && period < 1e9, "period: expected 2 frames or more");
    const nb::gil_scoped_release release;
    beats::track(scores.data(), static_cast<int64_t>(scores.shape(0)), period, tightness, cumulative.data(), before.data());
}

void median(Array<const float, 2> values, Array<float, 2> out, int axis, const std::string& level_name, int threads) {
    const Level& level = level_named(level_name);
    const auto rows = static_cast<int64_t>(values.shape(0)), columns = static_cast<int64_t>(values.shape(1));
    expect(out.shape(0) == values.shape(0) && out.shape(1) == values.shape(1), "out: expected the shape of values");
    expect(axis == 0 || axis == 1, "axis: expected 0 or 1");
    expect(rows > 0 && columns >= (axis == 0 ? kBlock : 1), "values: expected a row or more, and for axis 0 at least 16 columns");
    const int64_t units = ((axis == 0 ? columns : rows) + level.lanes - 1) / level.lanes;
    const std::vector<int64_t> begin = chunks(units, 8);
    const nb::gil_scoped_release release;
    in_threads(threads, static_cast<int>(begin.size()) - 1,
               [&](int i) { level.median(values.data(), out.data(), rows, columns, axis, begin[i], begin[i + 1]); });
}

// `samples` at another rate, into `out`.
void resample(const ResamplerPlan& plan, Array<const float, 1> samples, Array<float, 1> out, const std::string& level_name, int threads) {
    const Level& level = level_named(level_name);
    const auto count = static_cast<int64_t>(samples.shape(0)), wanted = static_cast<int64_t>(out.shape(0));
    expect(count > 0 && wanted == plan.outputs(count), "out: expected ceil(samples * up / down) values, of at least one sample");
    const int64_t outputs = int64_t{plan.made().outputs} * level.lanes;
    const std::vector<int64_t> begin = chunks((wanted + outputs - 1) / outputs);
    const nb::gil_scoped_release release;
    in_threads(threads, static_cast<int>(begin.size()) - 1,
               [&](int i) { level.resample(plan.made(), samples.data(), count, out.data(), wanted, begin[i], begin[i + 1]); });
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<plan::Plan>(m, "Plan", "Windows, filters and places of one rate and hop, prepared for one level.");
    m.def(
        "plan",
        [](double rate, int32_t hop, Tapers window, MelBank mel, const std::string& level) {
            return std::make_shared<plan::Plan>(level_named(level), rate, hop, window.data(), mel.data());
        },
        nb::arg("rate"), nb::arg("hop"), nb::arg("window"), nb::arg("mel"), nb::arg("level"));
    m.def("analyze", &analyze, nb::arg("plan"), nb::arg("samples"), nb::arg("frames"), nb::arg("mel"), nb::arg("segments"), nb::arg("counts"),
          nb::arg("full"), nb::arg("threads"), "Fills what it is given; returns the spectral peaks (n, 2): Hz, power.");
    m.def("chroma", &chroma, nb::arg("plan"), nb::arg("samples"), nb::arg("weights"), nb::arg("threads"), "Sums of the chroma over frames.");
    m.def("onsets", &onsets, nb::arg("plan"), nb::arg("mel"), nb::arg("floor"), nb::arg("strength"), nb::arg("threads"),
          "Fills the onset strength; returns the sums of the bands' levels over frames.");
    m.def("tempogram", &tempogram, nb::arg("plan"), nb::arg("envelope"), nb::arg("window"), nb::arg("frames"), nb::arg("threads"),
          "Sums of the scaled power spectra of all windows.");
    m.def("track", &track, nb::arg("scores"), nb::arg("period"), nb::arg("tightness"), nb::arg("cumulative"), nb::arg("before"));
    m.def("median", &median, nb::arg("values"), nb::arg("out"), nb::arg("axis"), nb::arg("level"), nb::arg("threads"),
          "Running medians of 31 values along an axis, reflected at the ends, into `out`.");
    nb::class_<ResamplerPlan>(m, "Resampler", "A change of sample rate by a whole ratio.");
    m.def(
        "resampler",
        [](int32_t up, int32_t down, Array<const float, 1> filter) {
            return std::make_shared<ResamplerPlan>(up, down, filter.data(), static_cast<int64_t>(filter.shape(0)));
        },
        nb::arg("up"), nb::arg("down"), nb::arg("filter"));
    m.def("resample", &resample, nb::arg("resampler"), nb::arg("samples"), nb::arg("out"), nb::arg("level"), nb::arg("threads"),
          "Fills `out` with the samples at another rate.");
}
