// Python's door to the audio thread: checks shapes, releases the interpreter, and gives the controls as callbacks like any other.
#include "audio_thread.hpp"
#include "controls.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace {

using Samples = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Wide = nb::ndarray<int64_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Narrow = nb::ndarray<int32_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

const char* const WIDE[] = {"wake_ns", "run_ns", "late_ns", "sequence", "age_ns", "dropped"};
const char* const NARROW[] = {"voluntary", "involuntary", "faults", "allocations", "locks", "flags", "torn", "unfinite"};

nb::dict play(size_t callback, size_t results, size_t state, uint32_t frames, double rate, Samples input, Samples output, Wide wide,
              Narrow narrow, int cpu) {
    if (!callback) throw std::invalid_argument("callback: expected the address of a function, found 0");
    if (!(rate > 0)) throw std::invalid_argument("rate: expected Hz, more than 0");
    if (input.shape(0) == 0) throw std::invalid_argument("input: expected at least one sample");
    if (wide.shape(0) != std::size(WIDE) || narrow.shape(0) != std::size(NARROW) || wide.shape(1) != narrow.shape(1))
        throw std::invalid_argument("rows: expected one row per name of WIDE and NARROW, and a column per callback");
    const size_t count = wide.shape(1);
    const auto w = [&](size_t i) { return wide.data() + i * count; };
    const auto n = [&](size_t i) { return narrow.data() + i * count; };
    realtime::Job job;
    job.callback = reinterpret_cast<harness_callback>(callback);
    job.results = reinterpret_cast<harness_results>(results);
    job.state = reinterpret_cast<void*>(state);
    job.frames = frames;
    job.rate = rate;
    job.input = input.data();
    job.input_frames = input.shape(0);
    job.output = output.data();
    job.output_frames = output.shape(0);
    job.callbacks = count;
    job.cpu = cpu;
    const realtime::Rows rows{w(0), w(1), w(2), n(0), n(1), n(2), n(3), n(4), w(3), w(4), w(5), n(5), n(6), n(7)};
    realtime::Granted granted;
    {
        const nb::gil_scoped_release release;
        granted = realtime::play(job, rows);
    }
    nb::dict found;
    found["realtime"] = granted.realtime;
    found["watched"] = granted.watched;
    found["why"] = granted.why;
    return found;
}

template <class Names> nb::list listed(const Names& names) {
    nb::list found;
    for (const auto& name : names) found.append(nb::str(name));
    return found;
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.attr("WIDE") = listed(WIDE);
    m.attr("NARROW") = listed(NARROW);
    m.def("play", &play, nb::kw_only(), nb::arg("callback"), nb::arg("results"), nb::arg("state"), nb::arg("frames"), nb::arg("rate"),
          nb::arg("input"), nb::arg("output"), nb::arg("wide"), nb::arg("narrow"), nb::arg("cpu") = -1,
          "Calls the callback once per block on a thread of its own, in real time, and fills the rows; what the system granted.");
    m.def("lock_memory", &realtime::lock_memory, "Keeps the process in memory; why not, or an empty text.");
    m.def("controls", &realtime::Control::kinds, "Names of the controls.");
    nb::class_<realtime::Control>(m, "Control", "A callback that does one forbidden thing.")
        .def(nb::init<const std::string&, uint32_t, double>(), nb::arg("kind"), nb::arg("frames"), nb::arg("rate"))
        .def_prop_ro("callback", [](const realtime::Control&) { return reinterpret_cast<size_t>(&realtime::Control::call); })
        .def_prop_ro("results", [](const realtime::Control& c) { return c.has_results() ? reinterpret_cast<size_t>(&realtime::Control::results) : 0; })
        .def_prop_ro("state", [](const realtime::Control& c) { return reinterpret_cast<size_t>(&c); })
        .def_prop_ro("deliberate", &realtime::Control::deliberate);
}
