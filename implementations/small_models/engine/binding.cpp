// Python's door to the engine: the C interface with arrays for pointers and exceptions for statuses.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <mutex>
#include <stdexcept>

#include "levels.hpp"
#include "small_models.h"

namespace nb = nanobind;

namespace {

// The lock keeps Python's threads out of each other's scratch, since calls release the GIL.
struct Engine {
    std::unique_ptr<sm_engine, void (*)(sm_engine*)> owned{nullptr, sm_destroy};
    std::mutex turn;
    sm_engine* get() const { return owned.get(); }
};

void require(sm_status status) {
    if (status == SM_NO_MEMORY) throw std::bad_alloc();
    if (status != SM_OK) throw std::invalid_argument(sm_message(status));
}

using Frames = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void run(Engine& engine, const Frames& features, const Output& out) {
    if (out.shape(0) != features.shape(0)) throw std::invalid_argument("out: expected as many frames as features");
    const nb::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(engine.turn);
    require(sm_run(engine.get(), features.data(), features.shape(0), features.shape(1), out.data(), out.shape(1)));
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<Engine>(m, "Engine", "Models of a packed file, prepared for one level.")
        .def("__init__",
             [](Engine* self, nb::bytes packed, bool stateful, size_t batch, size_t threads, const std::string& level) {
                 const std::string name = dispatch::choose(level);
                 const sm_options options{stateful, batch, name.c_str(), threads};
                 sm_engine* made = nullptr;
                 require(sm_create(packed.c_str(), packed.size(), &options, &made));
                 new (self) Engine;
                 self->owned.reset(made);
             },
             nb::arg("packed"), nb::kw_only(), nb::arg("stateful"), nb::arg("batch"), nb::arg("threads") = 1, nb::arg("level"))
        .def("run", &run, nb::arg("features").noconvert(), nb::arg("out").noconvert(), "Fills `out` (frames, outputs).")
        .def("reset", [](Engine& engine) {
                 const nb::gil_scoped_release release;
                 const std::lock_guard<std::mutex> lock(engine.turn);
                 sm_reset(engine.get());
             })
        .def("read", [](const Engine& engine, size_t passes) {
                 const nb::gil_scoped_release release;
                 uint64_t total = 0;
                 for (size_t i = 0; i < passes; ++i) total += sm_read(engine.get());
                 return total;
             }, nb::arg("passes"))
        .def("enable", [](const Engine& engine, size_t model, bool on) { require(sm_enable(engine.get(), model, on)); }, nb::arg("model"), nb::arg("on"))
        .def("enabled", [](const Engine& engine, size_t model) { return sm_enabled(engine.get(), model) != 0; }, nb::arg("model"))
        .def_prop_ro("features", [](const Engine& engine) { return sm_features(engine.get()); })
        .def_prop_ro("outputs", [](const Engine& engine) { return sm_outputs(engine.get()); })
        .def_prop_ro("level", [](const Engine& engine) { return sm_level(engine.get()); })
        .def_prop_ro("arena_bytes", [](const Engine& engine) { return sm_arena_bytes(engine.get()); })
        .def_prop_ro("weight_bytes", [](const Engine& engine) { return sm_weight_bytes(engine.get()); });
    m.def(
        "activate",
        [](int activation, nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu> values, const std::string& level) {
            const small_models::Level& found = small_models::level_named(level);
            if (activation < 0 || activation > 3 || values.shape(0) % 16)
                throw std::invalid_argument("activate: expected a known activation, and a multiple of 16 values");
            found.activate(static_cast<small_models::Activation>(activation), values.data(), static_cast<int32_t>(values.shape(0)));
        },
        nb::arg("activation"), nb::arg("values").noconvert(), nb::arg("level"), "One activation in place, as the kernels compute it.");
}
