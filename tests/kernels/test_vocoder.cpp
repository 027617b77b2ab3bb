// Convolutions of the vocoder in floats, in 16- and in 8-bit integers, its upsampling and its last layer, against scalar code.
#include <algorithm>

#include "by_level.hpp"
#include "check.hpp"
#include "kernel.hpp"
#include "packing.hpp"

TABLE_BY_LEVEL(level_named, vocoder::Level, level)

namespace {

using vocoder::Rows;

double leaky(double value, double slope) { return value < 0 ? slope * value : value; }

// (steps, width) of which only the first `channels` of each step are not zero.
std::vector<float> drawn(uint64_t seed, int64_t steps, int channels, int width) {
    const auto values = check::Random(seed).many<float>(static_cast<size_t>(steps * channels));
    std::vector<float> found(static_cast<size_t>(steps * width));
    for (int64_t t = 0; t < steps; ++t) std::copy_n(values.data() + t * channels, channels, found.data() + t * width);
    return found;
}

Rows rows_of(std::vector<float>& values, int64_t steps, int width) { return {values.data(), 0, 0, steps, width}; }

struct Shape {
    int inputs, outputs, taps, dilation;
};

void convolution(const vocoder::Level& level, const Shape& shape, int bits, bool added) {
    constexpr int64_t steps = 83, begin = 5, end = 79;
    constexpr float slope = 0.1f;
    const vocoder::Plain plain{shape.outputs, shape.inputs, shape.taps,
                               check::Random(1).many<float>(static_cast<size_t>(shape.outputs * shape.inputs * shape.taps)),
                               check::Random(2).many<float>(static_cast<size_t>(shape.outputs))};
    const vocoder::Packed packed = vocoder::pack(plain, shape.dilation, slope, bits, level.lanes);
    const int in_width = packed.layer.inputs, out_width = packed.layer.outputs;
    auto in = drawn(3, steps, shape.inputs, in_width), residual = drawn(4, steps, shape.outputs, out_width);
    auto total = drawn(5, steps, shape.outputs, out_width);
    std::vector<float> out(static_cast<size_t>(steps * out_width), 9);
    const auto scratch = vocoder::allocate<char>(vocoder::scratch_bytes(packed.layer, level.lanes));
    const Rows none{};
    level.convolve({&packed.layer, rows_of(in, steps, in_width), rows_of(out, steps, out_width), added ? rows_of(residual, steps, out_width) : none,
                    added ? rows_of(total, steps, out_width) : none, begin, end},
                   scratch.get());

    std::vector<double> found, expected;
    bool kept = true;
    for (int64_t t = 0; t < steps; ++t)
        for (int o = 0; o < shape.outputs; ++o) {
            const size_t place = static_cast<size_t>(t * out_width + o);
            if (t < begin || t >= end) {
                kept = kept && out[place] == 9;
                continue;
            }
            double sum = plain.bias[static_cast<size_t>(o)] + (added ? residual[place] + total[place] : 0);
            for (int tap = 0; tap < shape.taps; ++tap) {
                const int64_t from = t + shape.dilation * (tap - (shape.taps - 1) / 2);
                if (from < 0 || from >= steps) continue;
                for (int c = 0; c < shape.inputs; ++c)
                    sum += plain.weights[static_cast<size_t>((o * shape.inputs + c) * shape.taps + tap)] *
                           leaky(in[static_cast<size_t>(from * in_width + c)], slope);
            }
            found.push_back(out[place]);
            expected.push_back(sum);
        }
    const std::string what = std::to_string(bits) + " bits" + (added ? ", added" : "") + ", " + std::to_string(shape.inputs) + " to " +
                             std::to_string(shape.outputs) + ", " + std::to_string(shape.taps) + " taps, dilation " + std::to_string(shape.dilation);
    check::close(what, found, expected, bits == 8 ? 1.5 : bits == 16 ? 0.05 : 1e-4);
    check::that(kept, what + ": expected nothing written outside of the asked times");
}

// Steps of the rate that a transposed convolution makes of each row, in the rows of a plain one.
void upsampling(const vocoder::Level& level, int taps, int rate) {
    constexpr int inputs = 10, outputs = 5;
    constexpr int64_t rows = 12;
    const auto weights = check::Random(6).many<float>(static_cast<size_t>(inputs * outputs * taps)), bias = check::Random(7).many<float>(outputs);
    const int width = vocoder::padded(outputs, level.lanes);
    const vocoder::Packed packed =
        vocoder::pack(vocoder::upsampling(weights.data(), bias.data(), inputs, outputs, taps, rate, width), 1, 1, 32, level.lanes);
    auto in = drawn(8, rows, inputs, packed.layer.inputs);
    std::vector<float> out(static_cast<size_t>(rows * packed.layer.outputs));
    const auto scratch = vocoder::allocate<char>(vocoder::scratch_bytes(packed.layer, level.lanes));
    level.convolve({&packed.layer, rows_of(in, rows, packed.layer.inputs), rows_of(out, rows, packed.layer.outputs), {}, {}, 0, rows}, scratch.get());
    std::vector<double> found, expected;
    for (int64_t step = 0; step < rows * rate; ++step)
        for (int o = 0; o < outputs; ++o) {
            double sum = bias[static_cast<size_t>(o)];
            for (int64_t row = 0; row < rows; ++row) {
                const int64_t tap = step + (taps - rate) / 2 - row * rate;
                if (tap < 0 || tap >= taps) continue;
                for (int c = 0; c < inputs; ++c)
                    sum += weights[static_cast<size_t>((c * outputs + o) * taps + tap)] * in[static_cast<size_t>(row * packed.layer.inputs + c)];
            }
            found.push_back(out[static_cast<size_t>(step * width + o)]);
            expected.push_back(sum);
        }
    check::close("upsampling by " + std::to_string(rate) + ", " + std::to_string(taps) + " taps", found, expected, 1e-4);
}

void last_layer(const vocoder::Level& level) {
    constexpr int channels = 7, taps = 7;
    constexpr int64_t steps = 40, begin = 3, end = 38;
    const int width = vocoder::padded(channels, level.lanes);
    auto in = drawn(9, steps, channels, width), weights = drawn(10, taps, channels, width);
    const vocoder::Last last{width, taps, 0.01f, 0.2f, weights.data()};
    std::vector<float> found(static_cast<size_t>(end - begin));
    level.finish(last, rows_of(in, steps, width), begin, end, found.data());
    std::vector<double> expected;
    for (int64_t t = begin; t < end; ++t) {
        double sum = 0.2f;
        for (int64_t tap = 0; tap < taps; ++tap)
            if (const int64_t from = t + tap - 3; from >= 0 && from < steps)
                for (int c = 0; c < channels; ++c)
                    sum += leaky(in[static_cast<size_t>(from * width + c)], 0.01f) * weights[static_cast<size_t>(tap * width + c)];
        expected.push_back(std::tanh(sum));
    }
    check::close("last layer", found, expected, 1e-5);
}

}  // namespace

int main() {
    check::each_level([](const std::string& name) {
        const vocoder::Level& level = level_named(name);
        for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{7, 9, 3, 1}, Shape{33, 17, 5, 2}, Shape{16, 40, 7, 3}, Shape{20, 8, 11, 5}})
            for (int bits : {32, 16, 8})
                for (bool added : {false, true}) convolution(level, shape, bits, added);
        upsampling(level, 16, 8);
        upsampling(level, 4, 2);
        last_layer(level);
    });
    return check::done("vocoder");
}
