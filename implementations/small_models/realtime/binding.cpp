// Python's door to the pipeline: makes one, and gives the addresses of its callback.
#include "pipeline.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>

namespace nb = nanobind;
using small_models::Features;
using small_models::Pipeline;

namespace {

using Given = std::tuple<size_t, size_t, float, uint32_t>;
using Floats = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

std::unique_ptr<Pipeline> make(double rate, size_t step, size_t engine, size_t enable, const std::vector<Given>& models) {
    if (!step) throw std::invalid_argument("step: expected the address of a function, found 0");
    std::vector<small_models::Slot> slots;
    for (const auto& [first, count, neutral, needs] : models) slots.push_back({first, count, neutral, needs});
    const small_models::Engine given{reinterpret_cast<small_models::Step>(step), reinterpret_cast<void*>(engine),
                                     reinterpret_cast<small_models::Enable>(enable)};
    return std::make_unique<Pipeline>(rate, given, slots);
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    nb::class_<Pipeline>(m, "Pipeline", "The models beside an audio thread.")
        .def(nb::new_(&make), nb::kw_only(), nb::arg("rate"), nb::arg("step"), nb::arg("engine"), nb::arg("enable"), nb::arg("models"))
        .def_prop_ro("callback", [](const Pipeline&) { return reinterpret_cast<size_t>(&Pipeline::call); })
        .def_prop_ro("results", [](const Pipeline&) { return reinterpret_cast<size_t>(&Pipeline::results); })
        .def_prop_ro("state", [](const Pipeline& p) { return reinterpret_cast<size_t>(&p); })
        .def_prop_ro("latency", &Pipeline::latency)
        .def_prop_ro("inferences", &Pipeline::inferences)
        .def("enable", &Pipeline::enable, nb::arg("models"), "Bits by model.")
        // Without the interpreter, for which the inference thread may be waiting.
        .def("close", &Pipeline::close, nb::call_guard<nb::gil_scoped_release>(), "Ends the inference thread.");
    m.def(
        "features",
        [](Floats window, double rate, Floats out) {
            if (out.shape(0) != Features::BANDS) throw std::invalid_argument("out: expected 128 features");
            Features(window.shape(0), rate)(window.data(), out.data());
        },
        nb::arg("window"), nb::arg("rate"), nb::arg("out"), "What the models take, of one window of audio.");
}
