// Python's door to the kernel: checks what would be undefined behaviour, picks the level, deals blocks out to threads.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cmath>
#include <memory>

#include "by_level.hpp"
#include "plan.hpp"
#include "pool.hpp"

namespace nb = nanobind;

TABLE_BY_LEVEL(level_named, Level, level)

namespace {

using Window = nb::ndarray<const double, nb::shape<2048>, nb::c_contig, nb::device::cpu>;
using Filterbank = nb::ndarray<const float, nb::shape<1024, -1>, nb::c_contig, nb::device::cpu>;

std::shared_ptr<plan::Plan> make_plan(Window window, Filterbank filterbank, double hop, const std::string& level) {
    return std::make_shared<plan::Plan>(level_named(level), hop, window.data(), filterbank.data(), static_cast<int32_t>(filterbank.shape(1)));
}

bool compute(const plan::Plan& plan, const Job& job, int threads) {
    const Level& level = *plan.level;
    const int64_t blocks = (job.frames + level.frames - 1) / level.frames;
    const int64_t chunk = std::max<int64_t>(1, std::min<int64_t>(64 / level.frames, blocks * job.stems / (threads * 4)));
    const int64_t chunks = (blocks + chunk - 1) / chunk;
    std::atomic<bool> finite{true};
    in_threads(threads, static_cast<int>(chunks * job.stems), [&](int i) {
        const int64_t stem = i / chunks, first = i % chunks * chunk;
        if (!level.run(plan.tables, job, stem, first, std::min(first + chunk, blocks))) finite = false;
    });
    return finite;
}

template <class Sample> using Signals = nb::ndarray<const Sample, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

template <class Sample> bool spectrogram(const plan::Plan& plan, Signals<Sample> signals, Output out, int threads, bool single) {
    if (threads < 1) throw std::invalid_argument("threads: expected 1 or more, found " + std::to_string(threads));
    const auto frames = static_cast<size_t>(std::ceil(static_cast<double>(signals.shape(1)) / plan.tables.hop));
    if (out.shape(0) != signals.shape(0) || out.shape(1) != frames || out.shape(2) != static_cast<size_t>(plan.tables.bands))
        throw std::invalid_argument("out: expected shape (stems, ceil(samples / hop), bands)");
    Job job{};
    job.signals = signals.data();
    job.integer = std::is_same_v<Sample, int16_t>;
    job.single = single;
    job.stems = static_cast<int64_t>(signals.shape(0));
    job.samples = static_cast<int64_t>(signals.shape(1));
    job.frames = static_cast<int64_t>(frames);
    job.out = out.data();
    const nb::gil_scoped_release release;
    return compute(plan, job, threads);
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<plan::Plan>(m, "Plan", "Window, filterbank and hop, prepared for one level.")
        .def_prop_ro("bands", [](const plan::Plan& plan) { return plan.tables.bands; });
    m.def("plan", &make_plan, nb::arg("window"), nb::arg("filterbank"), nb::arg("hop"), nb::arg("level"));
    const char* doc = "Fills `out`; False when a sample or a magnitude is not finite.";
    m.def("spectrogram", &spectrogram<float>, nb::arg("plan"), nb::arg("signals"), nb::arg("out"), nb::arg("threads"), nb::arg("single"), doc);
    m.def("spectrogram", &spectrogram<int16_t>, nb::arg("plan"), nb::arg("signals"), nb::arg("out"), nb::arg("threads"), nb::arg("single"), doc);
    m.def(
        "log10_1p",
        [](nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu> in, nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu> out,
           const std::string& level) {
            if (in.shape(0) != out.shape(0)) throw std::invalid_argument("out: expected the length of the input");
            level_named(level).log10_1p(in.data(), out.data(), static_cast<int64_t>(in.shape(0)));
        },
        nb::arg("values"), nb::arg("out"), nb::arg("level"), "log10(1 + values) as the kernel computes it.");
}
