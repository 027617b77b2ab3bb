// Convolutions of the codec's decoder, as they are and by minimal filtering, of two items in two pieces of time, and its last layer,
// against scalar code.
#include <algorithm>

#include "by_level.hpp"
#include "check.hpp"
#include "engine.hpp"

TABLE_BY_LEVEL(level_named, codec::Level, level)

namespace {

using codec::Item;
using codec::kItems;

struct Shape {
    int inputs, outputs, taps, before, dilation;
};

// Row `time` of (rows, width) that begin at `from`; zeros elsewhere.
double value(const std::vector<float>& rows, int64_t time, int64_t width, int64_t c) {
    const int64_t place = time * width + c;
    return time < 0 || place >= static_cast<int64_t>(rows.size()) ? 0 : rows[static_cast<size_t>(place)];
}

void convolution(const codec::Level& level, const Shape& shape, bool filtered, bool added) {
    constexpr int64_t known = 331, past_rows = 40, end = 301;
    constexpr float slope = -0.3f;
    const vocoder::Plain plain{shape.outputs, shape.inputs, shape.taps,
                               check::Random(1).many<float>(static_cast<size_t>(shape.outputs * shape.inputs * shape.taps)),
                               check::Random(2).many<float>(static_cast<size_t>(shape.outputs))};
    const codec::Convolution made = codec::packed_for(level, plain, filtered, shape.before, shape.dilation, slope);
    // What enters is (past_rows + known) rows, of which the first are given as the past.
    std::vector<float> in[kItems], residual[kItems], out[kItems];
    Item items[kItems];
    for (int i = 0; i < kItems; ++i) {
        in[i] = check::Random(3 + i).many<float>(static_cast<size_t>((past_rows + known) * shape.inputs));
        residual[i] = check::Random(5 + i).many<float>(static_cast<size_t>(end * shape.outputs));
        out[i].assign(static_cast<size_t>((end + 1) * shape.outputs), 9);
        const float* first = in[i].data() + past_rows * shape.inputs;
        items[i] = {{first, first - made.layer.past() * shape.inputs, known, shape.inputs}, out[i].data(), added ? residual[i].data() : nullptr};
    }
    const auto scratch = vocoder::allocate<char>(codec::scratch_bytes(made.layer, level.lanes));
    const int panels = (shape.outputs + 2 * level.lanes - 1) / (2 * level.lanes);
    level.convolve({&made.layer, items, kItems, 0, 7, 0, panels}, scratch.get());
    level.convolve({&made.layer, items, kItems, 7, end, 0, panels / 2}, scratch.get());
    level.convolve({&made.layer, items, kItems, 7, end, panels / 2, panels}, scratch.get());

    std::vector<double> found, expected;
    bool kept = true;
    for (int i = 0; i < kItems; ++i) {
        for (int64_t t = 0; t < end; ++t)
            for (int o = 0; o < shape.outputs; ++o) {
                double sum = plain.bias[static_cast<size_t>(o)];
                for (int tap = 0; tap < shape.taps; ++tap)
                    for (int c = 0; c < shape.inputs; ++c)
                        sum += plain.weights[static_cast<size_t>((o * shape.inputs + c) * shape.taps + tap)] *
                               value(in[i], past_rows + t + shape.dilation * (tap - shape.before), shape.inputs, c);
                const size_t place = static_cast<size_t>(t * shape.outputs + o);
                found.push_back(out[i][place]);
                expected.push_back((sum < 0 ? slope * sum : sum) + (added ? residual[i][place] : 0));
            }
        kept = kept && std::all_of(out[i].end() - shape.outputs, out[i].end(), [](float one) { return one == 9; });
    }
    const std::string what = std::string(filtered ? "filtered" : "direct") + (added ? ", added" : "") + ", " + std::to_string(shape.inputs) + " to " +
                             std::to_string(shape.outputs) + ", " + std::to_string(shape.taps) + " taps, dilation " + std::to_string(shape.dilation);
    check::close(what, found, expected, 1e-4);
    check::that(kept, what + ": expected nothing written outside of the asked times");
}

void last_layer(const codec::Level& level) {
    constexpr int channels = 16, taps = 7;
    constexpr int64_t count = 40, begin = 3;
    const auto in = check::Random(7).many<float>((taps - 1 + count) * channels), weights = check::Random(8).many<float>(taps * channels);
    std::vector<float> found(static_cast<size_t>(count - begin));
    level.finish({channels, taps, 0.2f, weights.data()}, {in.data() + (taps - 1) * channels, in.data(), count, channels}, begin, count, found.data());
    std::vector<double> expected;
    for (int64_t t = begin; t < count; ++t) {
        double sum = 0.2f;
        for (int64_t tap = 0; tap < taps; ++tap)
            for (int c = 0; c < channels; ++c) sum += value(in, t + tap, channels, c) * weights[static_cast<size_t>(tap * channels + c)];
        expected.push_back(sum);
    }
    check::close("last layer", found, expected, 1e-5);
}

}  // namespace

int main() {
    check::each_level([](const std::string& name) {
        const codec::Level& level = level_named(name);
        for (const Shape& shape : {Shape{16, 16, 7, 6, 1}, Shape{48, 32, 7, 6, 3}, Shape{16, 80, 4, 3, 1}, Shape{32, 16, 5, 4, 9}})
            for (bool added : {false, true}) convolution(level, shape, true, added);
        for (const Shape& shape : {Shape{16, 80, 5, 2, 1}, Shape{48, 48, 2, 1, 1}, Shape{32, 16, 1, 0, 1}, Shape{16, 16, 3, 2, 4}})
            for (bool added : {false, true}) convolution(level, shape, false, added);
        last_layer(level);
    });
    return check::done("codec");
}
