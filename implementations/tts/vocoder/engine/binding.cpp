// Python's door to the engine: checks shapes, picks the level, packs the layers.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>

#include "by_level.hpp"
#include "engine.hpp"

namespace nb = nanobind;

TABLE_BY_LEVEL(level_named, vocoder::Level, level)

namespace vocoder {
namespace {

using Weights = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Bias = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// (weights, bias) of the layers, in the order in which they compute.
class Layers {
  public:
    explicit Layers(const nb::list& list) : list_(list) {}

    struct Taken {
        Weights weights;
        Bias bias;
        int size(int axis) const { return static_cast<int>(weights.shape(axis)); }
    };
    Taken next(const char* what, bool transposed = false) {
        if (at_ >= list_.size()) throw std::invalid_argument(std::string("layers: expected one more, ") + what);
        const nb::tuple pair = nb::cast<nb::tuple>(list_[at_++]);
        Taken taken{nb::cast<Weights>(pair[0]), nb::cast<Bias>(pair[1])};
        if (taken.bias.shape(0) != taken.weights.shape(transposed ? 1 : 0))
            throw std::invalid_argument(std::string("layers: expected a bias per output channel of ") + what);
        return taken;
    }
    void end() const {
        if (at_ != list_.size()) throw std::invalid_argument("layers: expected " + std::to_string(at_) + ", found " + std::to_string(list_.size()));
    }

  private:
    const nb::list& list_;
    size_t at_ = 0;
};

void expect(bool right, const char* what) {
    if (!right) throw std::invalid_argument(std::string("layers: expected ") + what);
}

Plain plain(const Layers::Taken& taken, float scale) {
    const size_t count = taken.weights.size();
    Plain made{taken.size(0), taken.size(1), taken.size(2), {taken.weights.data(), taken.weights.data() + count}, {}};
    made.bias.assign(taken.bias.data(), taken.bias.data() + taken.bias.size());
    for (float& weight : made.weights) weight *= scale;
    return made;
}

Generator generator(const nb::list& list, const std::vector<int>& rates, bool pairs, const std::vector<std::vector<int>>& dilations, int bits,
                    const std::string& level_name) {
    if (bits != 32 && bits != 16 && bits != 8) throw std::invalid_argument("bits: expected 32, 16 or 8, found " + std::to_string(bits));
    Generator made;
    const Level& level = level_named(level_name);
    // 8 bits are for residual blocks, nineteen twentieths of the work, as far as four channels for each lane are there: with fewer they would
    // be padded, and take as long as 16 bits.
    const int wide = std::max(bits, 16);
    made.level = &level;
    made.pairs = pairs;
    Layers layers(list);
    auto taken = layers.next("the first convolution");
    made.mels = taken.size(1);
    expect(taken.size(2) % 2 == 1, "an odd number of taps");
    made.first = pack(plain(taken, 1), 1, 1, wide, level.lanes);
    made.bytes = made.first.bytes;
    int channels = taken.size(0);
    // The mean over the blocks of a stage is their sum here: the leaky ReLU behind it lets a factor through, and the next weights take it.
    const float mean = 1.0f / static_cast<float>(dilations.size());
    for (size_t i = 0; i < rates.size(); ++i) {
        Stage stage;
        taken = layers.next("an upsampling", true);
        expect(taken.size(0) == channels, "an upsampling of as many channels as come in");
        expect(rates[i] > 0 && taken.size(2) >= rates[i] && (taken.size(2) - rates[i]) % 2 == 0, "an upsampling whose taps - rate are even and >= 0");
        channels = taken.size(1);
        stage.rate = rates[i];
        stage.channels = padded(channels, level.lanes);
        std::vector<float> scaled(taken.weights.data(), taken.weights.data() + taken.weights.size());
        if (i > 0)
            for (float& weight : scaled) weight *= mean;
        const Plain up = upsampling(scaled.data(), taken.bias.data(), taken.size(0), channels, taken.size(2), stage.rate, stage.channels);
        stage.up = pack(up, 1, 0.1f, wide, level.lanes);
        made.bytes += stage.up.bytes;
        for (const auto& each : dilations) {
            ResidualBlock block;
            for (const int dilation : each)
                for (int second = 0; second < (pairs ? 2 : 1); ++second) {
                    taken = layers.next("a convolution of a residual block");
                    expect(taken.size(0) == channels && taken.size(1) == channels && taken.size(2) % 2 == 1 && dilation > 0,
                           "a residual convolution of equal channels and an odd number of taps");
                    const int own = channels < 4 * level.lanes ? wide : bits;
                    block.layers.push_back(pack(plain(taken, 1), second ? 1 : dilation, 0.1f, own, level.lanes));
                    block.reach += int64_t{taken.size(2) - 1} / 2 * (second ? 1 : dilation);
                    made.bytes += block.layers.back().bytes;
                }
            stage.reach = std::max(stage.reach, block.reach);
            stage.blocks.push_back(std::move(block));
        }
        made.stages.push_back(std::move(stage));
    }
    taken = layers.next("the last convolution");
    layers.end();
    expect(taken.size(0) == 1 && taken.size(1) == channels && taken.size(2) % 2 == 1, "a last convolution to one channel");
    const int width = padded(channels, level.lanes);
    made.last_taps = taken.size(2);
    made.last_bias = taken.bias.data()[0];
    made.last_weights = allocate<float>(int64_t{made.last_taps} * width);
    for (int c = 0; c < channels; ++c)
        for (int tap = 0; tap < made.last_taps; ++tap) made.last_weights[tap * width + c] = mean * taken.weights.data()[c * made.last_taps + tap];
    made.bytes += 4 * (int64_t{made.last_taps} * width + 1);
    return made;
}

using Mel = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Wave = nb::ndarray<float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void run(Vocoder& vocoder, Mel mel, Wave wave, int threads) {
    if (threads < 1) throw std::invalid_argument("threads: expected 1 or more, found " + std::to_string(threads));
    const auto frames = static_cast<int64_t>(mel.shape(0));
    if (static_cast<int>(mel.shape(1)) != vocoder.generator().mels)
        throw std::invalid_argument("mel: expected " + std::to_string(vocoder.generator().mels) + " bands, found " + std::to_string(mel.shape(1)));
    if (static_cast<int64_t>(wave.shape(0)) != frames * vocoder.generator().hop())
        throw std::invalid_argument("wave: expected " + std::to_string(frames * vocoder.generator().hop()) + " samples, found " + std::to_string(wave.shape(0)));
    if (!frames) return;
    const nb::gil_scoped_release release;
    vocoder.run(mel.data(), frames, wave.data(), threads);
}

}  // namespace
}  // namespace vocoder

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<vocoder::Vocoder>(m, "Vocoder", "A generator, packed for one level.")
        .def(
            "__init__",
            [](vocoder::Vocoder* self, const nb::list& layers, const std::vector<int>& rates, bool pairs,
               const std::vector<std::vector<int>>& dilations, int bits, const std::string& level) {
                new (self) vocoder::Vocoder(vocoder::generator(layers, rates, pairs, dilations, bits, level));
            },
            nb::arg("layers"), nb::arg("rates"), nb::arg("pairs"), nb::arg("dilations"), nb::arg("bits"), nb::arg("level"))
        .def("run", &vocoder::run, nb::arg("mel"), nb::arg("wave"), nb::arg("threads"), "Fills `wave` (frames * hop,) from `mel` (frames, mels).")
        .def("release", &vocoder::Vocoder::release, nb::call_guard<nb::gil_scoped_release>(), "Gives back the buffers that calls work in.")
        .def_prop_ro("weight_bytes", [](const vocoder::Vocoder& self) { return self.generator().bytes; })
        .def_prop_ro("level", [](const vocoder::Vocoder& self) { return std::string(self.generator().level->name); });
}
