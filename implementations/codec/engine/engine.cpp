#include "engine.hpp"

#include <algorithm>
#include <cstring>

#include "pool.hpp"

namespace codec {

namespace {

constexpr int64_t kPieceFloats = 256 << 10, kLeastPiece = 1024;  // steps: wide weights are read once per piece
constexpr int kBlockBytes = 1 << 20;                             // what enters a block
constexpr int64_t kWide = 256 * 256;                             // weights of a tap from which on threads share channels instead of time
constexpr int kPanels = 4;                                       // of a task
constexpr int64_t kTaskSteps = 1024;

void tap_by_tap(const vocoder::Plain& plain, int lanes, vocoder::Packed& packed) {
    vocoder::Layer& layer = packed.layer;
    layer.inputs = plain.inputs;
    layer.outputs = plain.outputs;
    layer.taps = layer.segments = layer.depth[0] = plain.taps;
    layer.groups = plain.inputs / lanes;
    const int64_t count = int64_t{plain.outputs} * plain.inputs * plain.taps;
    packed.weights = vocoder::allocate<uint32_t>(count);
    packed.bias = vocoder::allocate<float>(plain.outputs);
    packed.bytes = 4 * (count + plain.outputs);
    std::copy(plain.bias.begin(), plain.bias.end(), packed.bias.get());
    uint32_t* to = packed.weights.get();
    for (int first = 0; first < plain.outputs; first += 2 * lanes)
        for (int tap = 0; tap < plain.taps; ++tap)
            for (int c = 0; c < plain.inputs; ++c)
                for (int o = first; o < std::min(first + 2 * lanes, plain.outputs); ++o)
                    std::memcpy(to++, &plain.weights[(static_cast<size_t>(o) * plain.inputs + c) * plain.taps + tap], 4);
    layer.weights = packed.weights.get();
    layer.bias = packed.bias.get();
}

// The last rows of the past and of `count` new ones.
void keep(float* past, int64_t rows, const float* in, int64_t count, int64_t stride) {
    const int64_t fresh = std::min(rows, count), old = rows - fresh;
    std::memmove(past, past + fresh * stride, static_cast<size_t>(old * stride) * sizeof(float));
    std::memcpy(past + old * stride, in + (count - fresh) * stride, static_cast<size_t>(fresh * stride) * sizeof(float));
}

}  // namespace

Convolution packed_for(const Level& level, const vocoder::Plain& plain, bool filtered, int before, int dilation, float slope) {
    Convolution made;
    if (filtered)
        made.packed = vocoder::pack(plain, dilation, 1, 32, level.lanes);
    else
        tap_by_tap(plain, level.lanes, made.packed);
    made.layer = {made.packed.layer, filtered, before, slope};
    made.layer.packed.dilation = dilation;
    made.layer.packed.tiles = std::clamp(kBlockBytes / (4 * made.layer.points() * plain.inputs), 128, vocoder::kMostTiles);
    made.past = vocoder::allocate<float>(kItems * made.layer.past() * plain.inputs);
    return made;
}

int64_t Decoder::hop() const {
    int64_t product = 1;
    for (const Stage& stage : stages) product *= stage.rate;
    return product;
}

void Decoder::run(const float* latents, int64_t count, float* wave, int threads) {
    const std::lock_guard<std::mutex> lock(turn_);
    threads_ = threads;
    wave_ = wave;
    samples_ = count * hop();
    done_ = 0;
    begin();
    through(0, {latents, count * stages.front().layers.front().layer.packed.inputs, count, count});
}

// Zeros stand before the first row of every layer.
void Decoder::begin() {
    for (Stage& stage : stages)
        for (Convolution& one : stage.layers)
            std::fill_n(one.past.get(), kItems * one.layer.past() * one.layer.packed.inputs, 0.0f);
    last_past_ = vocoder::allocate<float>(int64_t{kItems} * (last.taps - 1) * last.channels);
}

// Piece by piece through this stage and all after it.
void Decoder::through(size_t number, const Rows& in) {
    if (number == stages.size()) return finish(in);
    Stage& stage = stages[number];
    const int64_t longest = std::max<int64_t>(std::max(kPieceFloats / stage.channels, kLeastPiece) / stage.rate, 1);
    const int64_t piece = std::min(longest, in.count), item = piece * stage.rate * stage.channels;
    float* steps = stage.steps.of(kItems * item);
    float* between = stage.between.of(stage.layers.size() > 1 ? kItems * item : 0);
    for (int64_t begin = 0; begin < in.count; begin += piece) {
        const int64_t rows = std::min(piece, in.count - begin), made = rows * stage.rate;
        Convolution& up = stage.layers.front();
        convolve(up, in.first + begin * up.layer.packed.inputs, in.item, in.known - begin, steps, item, nullptr, rows);
        for (size_t i = 1; i + 1 < stage.layers.size(); i += 2) {
            convolve(stage.layers[i], steps, item, made, between, item, nullptr, made);
            convolve(stage.layers[i + 1], between, item, made, steps, item, steps, made);
        }
        through(number + 1, {steps, item, made, made});
    }
}

// Threads share the channels of wide layers, so that each weight is read by one of them, and the time of others.
void Decoder::convolve(Convolution& convolution, const float* in, int64_t in_item, int64_t known, float* out, int64_t out_item,
                       const float* residual, int64_t rows) {
    const Layer& layer = convolution.layer;
    const int64_t stride = layer.packed.inputs, past = layer.past();
    Item items[kItems];
    for (int i = 0; i < kItems; ++i)
        items[i] = {{in + i * in_item, convolution.past.get() + i * past * stride, known, stride},
                    out + i * out_item,
                    residual ? residual + i * out_item : nullptr};
    const int panels = (layer.packed.outputs + 2 * level->lanes - 1) / (2 * level->lanes);
    const bool wide = stride * layer.packed.outputs >= kWide;
    const int groups = (panels + kPanels - 1) / kPanels, parts = static_cast<int>(std::clamp<int64_t>(rows / kTaskSteps, 1, 4));
    in_threads(threads_, wide ? groups : kItems * parts, [&](int task) {
        thread_local Room<char> scratch;
        void* place = scratch.of(scratch_bytes(layer, level->lanes));
        if (wide)
            level->convolve({&layer, items, kItems, 0, rows, panels * task / groups, panels * (task + 1) / groups}, place);
        else
            level->convolve({&layer, items + task / parts, 1, rows * (task % parts) / parts, rows * (task % parts + 1) / parts, 0, panels}, place);
    });
    for (int i = 0; i < kItems; ++i) keep(convolution.past.get() + i * past * stride, past, in + i * in_item, rows, stride);
}

void Decoder::finish(const Rows& in) {
    const int64_t past = int64_t{last.taps - 1} * last.channels;
    in_threads(threads_, kItems, [&](int i) {
        float* before = last_past_.get() + i * past;
        level->finish(last, {in.first + i * in.item, before, in.count, last.channels}, 0, in.count, wave_ + i * samples_ + done_);
        keep(before, last.taps - 1, in.first + i * in.item, in.count, last.channels);
    });
    done_ += in.count;
}

}  // namespace codec
