// The chain of models on a few frames, compiled once per dispatch level. Weights are read as one stream from the first layer of the
// first model to the last layer of the last, each once for all frames of a pass; biases and activations are applied in registers.
#include "kernel.hpp"

#include <cstring>

#include "activations.hpp"
#include "simd.hpp"
#include "staging.hpp"
#include "weights.hpp"

namespace small_models::LEVEL {

namespace {

#if LEVEL_BYTES == 64 || defined(__aarch64__)
constexpr int kTile = 3;  // frames whose sums stay in registers: 3 * kPanel of 32
#else
constexpr int kTile = 2;  // of 16
#endif

constexpr int kAhead = 4096;  // bytes that weights are asked for in advance

// What the weights of a panel are multiplied with.
template <class W> struct Inputs {
    const uint8_t* staged;  // of the first frame
    int64_t stride;         // bytes between frames
    const float* ranges;    // int8: (frames, 2)
    int32_t groups;
};

// Sums of A vectors of rows over `groups` groups of columns, for N frames. Few rows have too few sums to keep the arithmetic busy:
// they get U of each, for every U-th group.
template <class W, int A, int N, int U> inline const uint8_t* accumulate(const uint8_t* stream, const Inputs<W>& in, typename W::Sum (&sums)[U][N][A]) {
    constexpr int bytes = kLanes * group(W::precision) * element_bytes(W::precision);
    using Word = typename W::Word;
    const auto step = [&](int32_t g, int u) {
        typename W::Spread x[N];
        for (int n = 0; n < N; ++n) {
            Word word;
            std::memcpy(&word, in.staged + n * in.stride + g * static_cast<int64_t>(sizeof(Word)), sizeof word);
            x[n] = W::spread(word);
        }
#pragma GCC unroll 8
        for (int a = 0; a < A; ++a) {
            // Streams are prefetched across pages, where the hardware stops: worth a third where caches are cold. Bytes are so dense in
            // work that the request costs more than it brings.
            if constexpr (W::precision != Precision::int8) __builtin_prefetch(stream + kAhead + a * bytes);
            const typename W::Taken w = W::take(stream + a * bytes);
#pragma GCC unroll 3
            for (int n = 0; n < N; ++n) sums[u][n][a] = W::add(w, x[n], sums[u][n][a]);
        }
        stream += A * bytes;
    };
    int32_t g = 0;
    for (; g + U <= in.groups; g += U) {
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) step(g + u, u);
    }
    for (; g < in.groups; ++g) step(g, 0);
    return stream;
}

// How many sums a row gets: kPanel sums in flight hide the latency of the additions.
template <int A> constexpr int kSplit = kPanel / A > 1 ? kPanel / A : 1;

// Before their activation: A vectors of rows for N frames.
template <int A, int N> struct Rows {
    F value[N][A];
};

template <class W, int A, int N> inline const uint8_t* rows(const uint8_t* stream, const Inputs<W>* in, int inputs, Rows<A, N>& found) {
    constexpr int U = kSplit<A>;
    const uint8_t* constants = stream;
    stream += constant_blocks(W::precision, inputs) * A * kBytes;
    if constexpr (W::precision == Precision::int8) {
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a) found.value[n][a] = load<F>(constants + a * kBytes);
        for (int i = 0; i < inputs; ++i) {
            const uint8_t* scales = constants + (1 + 2 * i) * A * kBytes;
            typename W::Sum sums[U][N][A] = {};
            stream = accumulate<W, A, N, U>(stream, in[i], sums);
            for (int n = 0; n < N; ++n) {
                const F step = same(in[i].ranges[2 * n]), lowest = same(in[i].ranges[2 * n + 1]);
                for (int a = 0; a < A; ++a) {
                    typename W::Sum sum = sums[0][n][a];
                    for (int u = 1; u < U; ++u) sum = W::plus(sum, sums[u][n][a]);
                    const F scaled = fma(load<F>(scales + a * kBytes) * step, W::total(sum), found.value[n][a]);
                    found.value[n][a] = fma(load<F>(scales + (A + a) * kBytes), lowest, scaled);
                }
            }
        }
    } else {
        typename W::Sum sums[U][N][A] = {};
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a) sums[0][n][a] = W::precision == Precision::int24 ? F{} : load<F>(constants + a * kBytes);
        for (int i = 0; i < inputs; ++i) stream = accumulate<W, A, N, U>(stream, in[i], sums);
        for (int n = 0; n < N; ++n)
            for (int a = 0; a < A; ++a) {
                found.value[n][a] = sums[0][n][a];
                for (int u = 1; u < U; ++u) found.value[n][a] += sums[u][n][a];
                if constexpr (W::precision == Precision::int24)
                    found.value[n][a] = fma(load<F>(constants + (A + a) * kBytes), found.value[n][a], load<F>(constants + a * kBytes));
            }
    }
    return stream;
}

// The floats of some frames of one layer.
struct Frames {
    float* data;
    int64_t stride;
};

template <class W, int A, int N> const uint8_t* dense_panel(const Layer& layer, const uint8_t* stream, const Inputs<W>& in, Frames out) {
    Rows<A, N> found;
    stream = rows<W, A, N>(stream, &in, 1, found);
    for (int n = 0; n < N; ++n)
        for (int a = 0; a < A; ++a) store(out.data + n * out.stride + a * kLanes, apply(layer.activation, found.value[n][a]));
    return stream;
}

// The next output and cell of B vectors of units from their gates. sigmoid(a) tanh(b) is one fraction of one division.
template <class W, int G, int B, int N>
const uint8_t* lstm_panel(const Layer& layer, const uint8_t* stream, const Inputs<W>* in, Frames out, int32_t first) {
    Rows<G * B, N> found;
    constexpr int inputs = G == 4 ? 2 : 1;
    stream = rows<W, G * B, N>(stream, in, inputs, found);
    for (int n = 0; n < N; ++n)
        for (int b = 0; b < B; ++b) {
            const F* gate = found.value[n] + b;
            const Fraction candidate = tanh_fraction(gate[(G - 2) * B]), i = tanh_fraction(gate[0] * 0.5f), o = tanh_fraction(gate[(G - 1) * B] * 0.5f);
            F cell = (i.below + i.above) * candidate.above / ((i.below + i.below) * candidate.below);
            if constexpr (G == 4) {
                cell = fma(sigmoid(gate[B]), load<F>(layer.cell + first + b * kLanes), cell);
                store(layer.cell + first + b * kLanes, cell);
            }
            const Fraction t = tanh_fraction(cell);
            store(out.data + n * out.stride + first + b * kLanes, (o.below + o.above) * t.above / ((o.below + o.below) * t.below));
        }
    return stream;
}

// All frames of a pass through one panel, as many at a time as have room in registers; the weights come from the first cache after the
// first of them.
template <class W, int A> const uint8_t* dense_frames(const Layer& layer, const uint8_t* stream, Inputs<W> in, Frames out, int32_t frames) {
    const uint8_t* end = stream;
    int32_t n = 0;
    const auto advance = [&](int32_t by) {
        n += by;
        in.staged += by * in.stride;
        in.ranges += 2 * by;
        out.data += by * out.stride;
    };
    while (n + kTile <= frames) {
        end = dense_panel<W, A, kTile>(layer, stream, in, out);
        advance(kTile);
    }
    while (n < frames) {
        end = dense_panel<W, A, 1>(layer, stream, in, out);
        advance(1);
    }
    return end;
}

template <class W> void dense(const Layer& layer, const Inputs<W>& in, Frames out, int32_t frames) {
    const uint8_t* stream = layer.stream;
    int32_t left = (layer.outputs + kLanes - 1) / kLanes;
    const auto panels = [&](auto size) {
        constexpr int A = decltype(size)::vectors;
        for (; left >= A; left -= A, out.data += A * kLanes) stream = dense_frames<W, A>(layer, stream, in, out, frames);
    };
    panels(Vectors<kPanel>{});
    if constexpr (kPanel == 8) panels(Vectors<4>{});
    panels(Vectors<2>{});
    panels(Vectors<1>{});
}

template <class W, int G> void lstm(const Layer& layer, const Inputs<W>* in, Frames out, int32_t frames) {
    const uint8_t* stream = layer.stream;
    const int32_t vectors = (layer.outputs + kLanes - 1) / kLanes;
    const auto panels = [&](auto size, int32_t v) {
        constexpr int B = decltype(size)::vectors;
        const uint8_t* start = stream;
        Inputs<W> now = *in;
        if constexpr (G == 4) {
            stream = lstm_panel<W, G, B, 1>(layer, start, in, out, v * kLanes);
        } else {
            for (int32_t n = 0; n < frames; ++n) {
                stream = lstm_panel<W, G, B, 1>(layer, start, &now, {out.data + n * out.stride, out.stride}, v * kLanes);
                now.staged += now.stride;
                now.ranges += 2;
            }
        }
    };
    int32_t v = 0;
    constexpr int B = kPanel / 4;
    for (; v + B <= vectors; v += B) panels(Vectors<B>{}, v);
    for (; v < vectors; ++v) panels(Vectors<1>{}, v);
}

// Stages one frame and says where it lies.
template <class W> const uint8_t* staged(float* from, int32_t count, uint8_t* to, float* range) {
    stage<W>(from, count, to, range);
    return kAsTheyAre<W> ? reinterpret_cast<const uint8_t*>(from) : to;
}

// An LSTM that keeps its state takes one frame after another: its output becomes the state when all panels have read the last one.
template <class W> void recur(const Program& program, const Layer& layer, Inputs<W> (&inputs)[2], Frames out, int32_t frames) {
    uint8_t* to = program.staged + frames * program.staged_stride;
    float* range = program.ranges + 2 * frames;
    for (int32_t n = 0; n < frames; ++n) {
        const uint8_t* hidden = staged<W>(layer.hidden, layer.outputs, to, range);
        inputs[1] = {hidden, 0, range, (layer.outputs + group(W::precision) - 1) / group(W::precision)};
        lstm<W, 4>(layer, inputs, out, 1);
        std::memcpy(layer.hidden, out.data, static_cast<size_t>(layer.outputs) * sizeof(float));
        inputs[0].staged += inputs[0].stride;
        inputs[0].ranges += 2;
        out.data += out.stride;
    }
}

template <class W> void run_layer(const Program& program, const Layer& layer, Frames in, Frames out, int32_t frames) {
    Inputs<W> inputs[2] = {};
    const int64_t stride = kAsTheyAre<W> ? in.stride * static_cast<int64_t>(sizeof(float)) : program.staged_stride;
    for (int32_t n = frames - 1; n >= 0; --n)
        inputs[0].staged = staged<W>(in.data + n * in.stride, layer.inputs, program.staged + n * stride, program.ranges + 2 * n);
    inputs[0].stride = stride;
    inputs[0].ranges = program.ranges;
    inputs[0].groups = (layer.inputs + group(W::precision) - 1) / group(W::precision);
    if (layer.gates == 4) return recur<W>(program, layer, inputs, out, frames);
    if (layer.gates == 3) return lstm<W, 3>(layer, inputs, out, frames);
    dense<W>(layer, inputs[0], out, frames);
    if (layer.activation == Activation::softmax)
        for (int32_t n = 0; n < frames; ++n) softmax(out.data + n * out.stride, layer.outputs);
}

template <class W> void run(const Program& program, const float* features, int32_t frames, const uint8_t* enabled) {
    for (int32_t m = 0; m < program.model_count; ++m) {
        const Model& model = program.models[m];
        if (!enabled[m]) {
            std::memset(model.output, 0, static_cast<size_t>(frames) * model.output_stride * sizeof(float));
            continue;
        }
        Frames in{program.scratch[0], program.stride};
        for (int32_t n = 0; n < frames; ++n) {
            float* to = in.data + n * in.stride;
            for (int32_t p = 0; p < model.piece_count; ++p) {
                const Piece& piece = model.pieces[p];
                const float* from = piece.source ? piece.source + static_cast<int64_t>(n) * piece.stride : features + static_cast<int64_t>(n) * program.feature_count;
                std::memcpy(to, from + piece.first, static_cast<size_t>(piece.count) * sizeof(float));
                to += piece.count;
            }
        }
        for (int32_t l = 0; l < model.layer_count; ++l) {
            Frames out{program.scratch[(l + 1) % 2], program.stride};
            if (l + 1 == model.layer_count) out = {model.output, model.output_stride};
            run_layer<W>(program, model.layers[l], in, out, frames);
            in = out;
        }
    }
}

void activate(Activation activation, float* values, int32_t count) {
    if (activation == Activation::softmax) return softmax(values, count);
    for (int32_t i = 0; i < count; i += kLanes) store(values + i, apply(activation, load<F>(values + i)));
}

#if defined(LEVEL_avx512_bf16)
constexpr bool kDots = true;
constexpr auto kRunDots = run<BFloat16Dots>;
#else
constexpr bool kDots = false;
constexpr auto kRunDots = run<BFloat16>;  // not asked for
#endif

#define QUOTED(name) #name
#define NAMED(name) QUOTED(name)

}  // namespace

extern const Level level;
const Level level = {NAMED(LEVEL), kLanes, kPanel, {run<Float32>, run<BFloat16>, run<Float16>, run<Int8>, run<Int24>, kRunDots}, kDots, activate};

}  // namespace small_models::LEVEL
