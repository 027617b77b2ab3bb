// The engine of small models through its C interface: each precision, with and without state, against scalar code in double on the
// weights as they are stored.
#include <algorithm>
#include <array>

#include "check.hpp"
#include "packed.hpp"
#include "small_models.h"

namespace {

using small_models::Activation;
using Rows = std::vector<double>;  // (rows, columns)

// The nearest one, as the packed file has it: below its bits are those of the column before it, if it is an odd one.
uint16_t bfloat16_of(float value, uint16_t below) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const uint32_t magnitude = (bits & 0x7fffffff) + 0x8000;
    const uint32_t nearest = magnitude > below ? (magnitude - below) >> 16 : 0;
    return static_cast<uint16_t>((below && nearest < 0x2000 ? 0x2000 : nearest) | (bits >> 16 & 0x8000));
}
double of_bfloat16(uint16_t value, uint16_t below) {
    const uint32_t bits = static_cast<uint32_t>(value) << 16 | below;
    float found;
    std::memcpy(&found, &bits, 4);
    return found;
}
double of_float16(uint16_t value) {
    const int exponent = value >> 10 & 31, fraction = value & 1023;
    const double size = exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24);
    return value & 0x8000 ? -size : size;
}
// The nearest of all: slow, and plainly right.
uint16_t float16_of(float value) {
    int low = 0, high = 0x7bff;
    while (low < high) {
        const int middle = (low + high + 1) / 2;
        if (of_float16(static_cast<uint16_t>(middle)) <= std::fabs(value)) low = middle;
        else high = middle - 1;
    }
    const double under = std::fabs(value) - of_float16(static_cast<uint16_t>(low)), over = of_float16(static_cast<uint16_t>(low + 1)) - std::fabs(value);
    if (over < under || (over == under && low % 2)) ++low;
    return static_cast<uint16_t>(low | (value < 0 ? 0x8000 : 0));
}

struct Layer {
    bool recurrent;
    Activation activation;
    int inputs, outputs;
    Rows biases, input, state;  // as stored; of an LSTM the gates input, forget, cell, output, without state no forget
};

struct Wired {
    std::vector<Layer> layers;
    std::vector<std::array<int, 3>> pieces;  // source, first, count
};

// Bytes of a packed file, and the weights that they hold.
class Writer {
  public:
    Writer(sm_precision precision, bool stateful) : precision_(precision), stateful_(stateful) {}

    std::vector<uint8_t> pack(std::vector<Wired>& models, int features) {
        for (size_t m = 0; m < models.size(); ++m) describe(m, models[m]);
        for (Wired& model : models)
            for (Layer& layer : model.layers) write(layer);
        std::vector<uint8_t> body;
        body.swap(bytes_);
        const std::string magic = "SMALLMDL";
        bytes_.assign(magic.begin(), magic.end());
        for (const int number : {SM_VERSION, static_cast<int>(precision_), static_cast<int>(stateful_), features, static_cast<int>(models.size())}) put(number);
        put(static_cast<int>(small_models::checksum(body.data(), body.size(), small_models::checksum(bytes_.data(), bytes_.size()))));
        bytes_.insert(bytes_.end(), body.begin(), body.end());
        return bytes_;
    }

  private:
    void put(int number) { append(&number, 4); }
    void append(const void* from, size_t size) {
        bytes_.insert(bytes_.end(), static_cast<const uint8_t*>(from), static_cast<const uint8_t*>(from) + size);
        bytes_.resize((bytes_.size() + 3) / 4 * 4);
    }
    void describe(size_t number, const Wired& model) {
        put(2), append(("m" + std::to_string(number)).data(), 2);
        put(static_cast<int>(model.pieces.size()));
        for (const auto& piece : model.pieces)
            for (const int value : piece) put(value);
        put(static_cast<int>(model.layers.size()));
        for (const Layer& layer : model.layers)
            for (const int value : {static_cast<int>(layer.recurrent), static_cast<int>(layer.activation), layer.inputs, layer.outputs}) put(value);
    }
    void write(Layer& layer) {
        const int rows = layer.outputs * (!layer.recurrent ? 1 : stateful_ ? 4 : 3);
        const auto biases = random_.many(static_cast<size_t>(rows), 0.3);
        append(biases.data(), biases.size() * 4);
        layer.biases.assign(biases.begin(), biases.end());
        layer.input = matrix(rows, layer.inputs);
        if (layer.recurrent && stateful_) layer.state = matrix(rows, layer.outputs);
    }
    Rows matrix(int rows, int columns) {
        const auto values = random_.many(static_cast<size_t>(rows * columns), 1.2 / std::sqrt(columns));
        Rows stored(values.begin(), values.end());
        std::vector<uint16_t> halves;
        std::vector<int8_t> whole;
        std::vector<float> scales;
        for (int row = 0; precision_ == SM_INT8 && row < rows; ++row) {
            float most = 0;
            for (int i = 0; i < columns; ++i) most = std::max(most, std::fabs(values[row * columns + i]));
            scales.push_back(most / 127);
        }
        for (size_t i = 0; i < values.size(); ++i) {
            const uint16_t below = i % columns % 2 ? halves.empty() ? 0 : halves.back() : 0;
            if (precision_ == SM_BFLOAT16) halves.push_back(bfloat16_of(values[i], below)), stored[i] = of_bfloat16(halves[i], below);
            if (precision_ == SM_FLOAT16) halves.push_back(float16_of(values[i])), stored[i] = of_float16(halves[i]);
            if (precision_ != SM_INT8) continue;
            whole.push_back(static_cast<int8_t>(std::nearbyint(values[i] / scales[i / columns])));
            stored[i] = static_cast<double>(whole[i]) * scales[i / columns];
        }
        append(scales.data(), scales.size() * 4);
        if (!halves.empty()) append(halves.data(), halves.size() * 2);
        else if (!whole.empty()) append(whole.data(), whole.size());
        else append(values.data(), values.size() * 4);
        return stored;
    }

    const sm_precision precision_;
    const bool stateful_;
    check::Random random_{10};
    std::vector<uint8_t> bytes_;
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

std::vector<double> product(const Rows& rows, const std::vector<double>& x, const std::vector<double>& biases) {
    std::vector<double> found = biases;
    for (size_t row = 0; row < found.size(); ++row)
        for (size_t i = 0; i < x.size(); ++i) found[row] += rows[row * x.size() + i] * x[i];
    return found;
}

struct State {
    std::vector<double> hidden, cell;
};

// As int8 takes a layer's inputs: 256 numbers from the least to the greatest.
std::vector<double> quantized(const std::vector<double>& x) {
    const auto [low, high] = std::minmax_element(x.begin(), x.end());
    const float lowest = static_cast<float>(*low), width = static_cast<float>(*high) - lowest;
    std::vector<double> found;
    for (const double value : x) {
        const float number = width > 1e-30f ? std::nearbyint((static_cast<float>(value) - lowest) * (255.0f / width)) : 0;
        found.push_back(lowest + static_cast<double>(width) / 255 * number);
    }
    return found;
}

// whole: inputs as int8 takes them.
std::vector<double> step(const Layer& layer, const std::vector<double>& x, State& state, bool stateful, bool whole) {
    auto found = product(layer.input, whole ? quantized(x) : x, layer.biases);
    const auto n = static_cast<size_t>(layer.outputs);
    if (layer.recurrent) {
        state.hidden.resize(n), state.cell.resize(n);
        if (stateful) found = product(layer.state, whole ? quantized(state.hidden) : state.hidden, found);
        for (size_t i = 0; i < n; ++i) {
            const double *gates = found.data() + i, enter = sigmoid(gates[0]), leave = sigmoid(gates[(stateful ? 3 : 2) * n]);
            state.cell[i] = enter * std::tanh(gates[(stateful ? 2 : 1) * n]) + (stateful ? sigmoid(gates[n]) * state.cell[i] : 0);
            state.hidden[i] = leave * std::tanh(state.cell[i]);
        }
        return state.hidden;
    }
    double sum = 0;
    for (double& value : found) {
        switch (layer.activation) {
            case Activation::tanh: value = std::tanh(value); break;
            case Activation::relu: value = std::max(0.0, value); break;
            case Activation::sigmoid: value = sigmoid(value); break;
            case Activation::softmax: sum += value = std::exp(value); break;
        }
    }
    if (layer.activation == Activation::softmax)
        for (double& value : found) value /= sum;
    return found;
}

// (frames, outputs of all models)
std::vector<double> expected_of(const std::vector<Wired>& models, const std::vector<float>& features, int columns, bool stateful, bool whole) {
    std::vector<double> found;
    std::vector<std::vector<State>> states;
    for (const Wired& model : models) states.emplace_back(model.layers.size());
    for (size_t begin = 0; begin < features.size(); begin += static_cast<size_t>(columns)) {
        std::vector<std::vector<double>> outputs;
        for (size_t m = 0; m < models.size(); ++m) {
            std::vector<double> x;
            for (const auto& [source, first, count] : models[m].pieces)
                for (int i = first; i < first + count; ++i) x.push_back(source < 0 ? features[begin + i] : outputs[source][i]);
            for (size_t l = 0; l < models[m].layers.size(); ++l) x = step(models[m].layers[l], x, states[m][l], stateful, whole);
            outputs.push_back(x);
            found.insert(found.end(), x.begin(), x.end());
        }
    }
    return found;
}

void engines(sm_precision precision, bool stateful) {
    constexpr int columns = 21, frames = 27;
    std::vector<Wired> models{
        {{{true, Activation::tanh, 21, 19, {}, {}, {}}, {false, Activation::tanh, 19, 133, {}, {}, {}}, {false, Activation::softmax, 133, 10, {}, {}, {}}},
         {{-1, 0, 21}}},
        {{{false, Activation::relu, 12, 37, {}, {}, {}}, {true, Activation::tanh, 37, 65, {}, {}, {}}, {false, Activation::sigmoid, 65, 9, {}, {}, {}}},
         {{0, 2, 7}, {-1, 3, 5}}},
    };
    const auto bytes = Writer(precision, stateful).pack(models, columns);
    const auto features = check::Random(11).many(frames * columns);
    const auto expected = expected_of(models, features, columns, stateful, precision == SM_INT8);
    check::each_level([&](const std::string& level) {
        for (const auto& [batch, threads] : {std::pair<size_t, size_t>{1, 1}, {5, 1}, {32, 2}}) {
            const sm_options options{stateful, batch, level.c_str(), threads};
            sm_engine* engine = nullptr;
            const sm_status status = sm_create(bytes.data(), bytes.size(), &options, &engine);
            const std::string what = "precision " + std::to_string(precision) + (stateful ? ", with state" : "") + ", batch " + std::to_string(batch) +
                                     ", threads " + std::to_string(threads);
            if (!check::that(status == SM_OK, what + ": " + sm_message(status))) continue;
            check::that(level == sm_level(engine), what + ": runs at level " + sm_level(engine));
            std::vector<float> found(expected.size());
            check::that(sm_run(engine, features.data(), frames, columns, found.data(), 19) == SM_OK, what + ": run");
            check::close(what, found, expected, 1e-6);
            sm_destroy(engine);
        }
    });
}

// Whole numbers come out the same at every level: their sums have no rounding.
void int8_is_the_same_everywhere() {
    std::vector<Wired> models{{{{false, Activation::relu, 21, 40, {}, {}, {}}}, {{-1, 0, 21}}}};
    const auto bytes = Writer(SM_INT8, false).pack(models, 21);
    const auto features = check::Random(12).many(21);
    std::vector<float> first;
    check::each_level([&](const std::string& level) {
        const sm_options options{0, 1, level.c_str(), 1};
        sm_engine* engine = nullptr;
        std::vector<float> found(40);
        if (!check::that(sm_create(bytes.data(), bytes.size(), &options, &engine) == SM_OK, "int8: create")) return;
        sm_run(engine, features.data(), 1, 21, found.data(), 40);
        sm_destroy(engine);
        if (first.empty()) first = found;
        check::close("int8 beside the first level", found, first, 1e-6);
    });
}

void what_is_wrong_is_refused() {
    sm_engine* engine = nullptr;
    std::vector<Wired> models{{{{false, Activation::tanh, 4, 3, {}, {}, {}}}, {{-1, 0, 4}}}};
    auto bytes = Writer(SM_FLOAT32, false).pack(models, 4);
    const sm_options elsewhere{0, 1, "sse9", 1};
    check::that(sm_create(bytes.data(), bytes.size(), &elsewhere, &engine) == SM_NO_LEVEL && !engine, "a level that is not there");
    bytes.back() ^= 1;
    check::that(sm_create(bytes.data(), bytes.size(), nullptr, &engine) == SM_CORRUPT && !engine, "a changed byte");
}

}  // namespace

int main() {
    for (const sm_precision precision : {SM_FLOAT32, SM_BFLOAT16, SM_FLOAT16, SM_INT8, SM_INT24})
        for (const bool stateful : {false, true}) engines(precision, stateful);
    int8_is_the_same_everywhere();
    check::level = "";
    what_is_wrong_is_refused();
    return check::done("small_models");
}
