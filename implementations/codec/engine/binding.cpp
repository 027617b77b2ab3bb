// Python's door to the engine: checks shapes, picks the level, packs the layers.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "by_level.hpp"
#include "engine.hpp"

namespace nb = nanobind;

TABLE_BY_LEVEL(level_named, codec::Level, level)

namespace codec {
namespace {

template <int axes> using Floats = nb::ndarray<const float, nb::ndim<axes>, nb::c_contig, nb::device::cpu>;
using Wave = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

void expect(bool right, const char* what) {
    if (!right) throw std::invalid_argument(std::string("decoder: expected ") + what);
}

void make(Decoder* self, const std::string& level) {
    new (self) Decoder;
    self->level = &level_named(level);
}

void stage(Decoder& self, int rate) {
    expect(rate >= 1, "a rate of 1 or more");
    self.stages.emplace_back().rate = rate;
}

void layer(Decoder& self, Floats<3> weights, Floats<1> bias, bool filtered, int before, int dilation, float slope) {
    expect(!self.stages.empty(), "a stage before its layers");
    const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1)), taps = static_cast<int>(weights.shape(2));
    Stage& stage = self.stages.back();
    const bool first = stage.layers.empty();
    if (first) stage.channels = outputs / stage.rate;
    expect(inputs % kAligned == 0 && outputs % kAligned == 0 && stage.channels % kAligned == 0, "channels padded to whole vectors");
    expect(first || (inputs == stage.channels && outputs == stage.channels), "as many channels as the stage has");
    expect(static_cast<int>(bias.shape(0)) == outputs, "a bias per output channel");
    expect(inputs <= vocoder::kMostChannels && taps >= 1 && taps <= vocoder::kTaps * vocoder::kMostSegments && dilation >= 1 && before >= 0 && before < taps,
           "up to 4096 channels in and 1 to 32 taps, of which one is on the present row");
    const vocoder::Plain plain{outputs, inputs, taps, {weights.data(), weights.data() + weights.size()}, {bias.data(), bias.data() + bias.size()}};
    const nb::gil_scoped_release release;
    stage.layers.push_back(packed_for(*self.level, plain, filtered, before, dilation, slope));
}

void finish(Decoder& self, Floats<2> weights, float bias) {
    expect(!self.stages.empty() && static_cast<int>(weights.shape(1)) == self.stages.back().channels, "a last layer of the last stage's channels");
    self.last_weights = vocoder::allocate<float>(static_cast<int64_t>(weights.size()));
    std::copy_n(weights.data(), weights.size(), self.last_weights.get());
    self.last = {static_cast<int>(weights.shape(1)), static_cast<int>(weights.shape(0)), bias, self.last_weights.get()};
}

void run(Decoder& self, Floats<3> latents, Wave wave, int threads) {
    expect(self.last.taps > 0, "a last layer");
    const auto count = static_cast<int64_t>(latents.shape(1));
    expect(static_cast<int>(latents.shape(0)) == kItems && static_cast<int>(latents.shape(2)) == self.stages.front().layers.front().layer.packed.inputs,
           "latents (2, count, padded channels)");
    expect(static_cast<int>(wave.shape(0)) == kItems && static_cast<int64_t>(wave.shape(1)) == count * self.hop(), "a wave (2, count * hop)");
    if (!count) return;
    const nb::gil_scoped_release release;
    self.run(latents.data(), count, wave.data(), threads);
}

}  // namespace
}  // namespace codec

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.attr("ALIGNED") = codec::kAligned;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<codec::Decoder>(m, "Decoder", "The layers of a decoder, packed for one level in the order in which they are given.")
        .def("__init__", &codec::make, nb::arg("level"))
        .def("stage", &codec::stage, nb::arg("rate"), "Begins a stage, whose first layer makes `rate` steps of each row.")
        .def("layer", &codec::layer, nb::arg("weights"), nb::arg("bias"), nb::arg("filtered"), nb::arg("before"), nb::arg("dilation"),
             nb::arg("slope"), "One more layer, weights (outputs, inputs, taps): a stage's first, or half of a residual pair.")
        .def("finish", &codec::finish, nb::arg("weights"), nb::arg("bias"), "The last layer, weights (taps, channels).")
        .def("run", &codec::run, nb::arg("latents"), nb::arg("wave"), nb::arg("threads"),
             "Fills `wave` (2, count * hop) from `latents` (2, count, channels).")
        .def_prop_ro("level", [](const codec::Decoder& self) { return std::string(self.level->name); });
}
