// The chain of models on a few frames, compiled once per dispatch level. Weights are read as one stream from the first layer of the
// first model to the last layer of the last, each once for all frames of a pass; biases and activations are applied in registers.
#include "kernel.hpp"

#include <cstring>

#include "activations.hpp"
#include "rows.hpp"
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

template <int N> struct Size {
    static constexpr int value = N;
};

// The floats of some frames of one layer.
struct Frames {
    float* data;
    int64_t stride;

    float* at(int32_t frame) const { return data + frame * stride; }
};

// body(size, n): so many frames from the n-th on, as many at a time as have room in registers; their weights come from the first cache
// after the first of them.
template <class Body> inline void each_tile(const Share& share, Body body) {
    int32_t n = share.first;
    for (; n + kTile <= share.last; n += kTile) body(Size<kTile>{}, n);
    if constexpr (kTile == 3)
        for (; n + 2 <= share.last; n += 2) body(Size<2>{}, n);
    for (; n < share.last; ++n) body(Size<1>{}, n);
}

// body(size, v): a panel of so many vectors of units from the v-th on.
template <class Body> inline void each_panel_of_units(int32_t vectors, Body body) {
    int32_t v = 0;
    for (; v + kPanel / 4 <= vectors; v += kPanel / 4) body(Size<kPanel / 4>{}, v);
    for (; v < vectors; ++v) body(Size<1>{}, v);
}

inline int32_t vectors_of(const Layer& layer) { return (layer.outputs + kLanes - 1) / kLanes; }

template <class W> void dense(const Layer& layer, const Inputs<W>& in, Frames out, const Share& share) {
    const uint8_t* stream = layer.stream;
    int32_t v = 0;
    const auto panels = [&](auto size) {
        constexpr int A = decltype(size)::value;
        for (; v + A <= vectors_of(layer); v += A) {
            const uint8_t* const columns = stream + constant_blocks(W::precision, 1) * A * kBytes;
            each_tile(share, [&](auto tile, int32_t n) {
                constexpr int N = decltype(tile)::value;
                Rows<A, N> rows;
                begin<W>(stream, rows);
                add<W>(stream, 0, columns, in.from(n), rows);
                finish<W>(stream, rows);
                for (int i = 0; i < N; ++i)
                    for (int a = 0; a < A; ++a) store(out.at(n + i) + (v + a) * kLanes, apply(layer.activation, rows.value[i][a]));
            });
            stream = columns + in.groups * A * vector_bytes(W::precision);
        }
    };
    panels(Size<kPanel>{});
    if constexpr (kPanel == 8) panels(Size<4>{});
    panels(Size<2>{});
    panels(Size<1>{});
    if (layer.activation == Activation::softmax)
        for (int32_t n = share.first; n < share.last; ++n) softmax(out.at(n), layer.outputs);
}

// The next output and cell of B vectors of units, the v-th and those behind it, from their G gates. sigmoid(a) tanh(b) is one fraction of
// one division.
template <int G, int B, int N> inline void units(const Layer& layer, const Rows<G * B, N>& gates, Frames out, int32_t n, int32_t v) {
    for (int i = 0; i < N; ++i)
        for (int b = 0; b < B; ++b) {
            const F* gate = gates.value[i] + b;
            const Fraction candidate = tanh_fraction(gate[(G - 2) * B]);
            const Fraction enter = tanh_fraction(gate[0] * 0.5f), leave = tanh_fraction(gate[(G - 1) * B] * 0.5f);
            F cell = quotient((enter.below + enter.above) * candidate.above, (enter.below + enter.below) * candidate.below);
            if constexpr (G == 4) {
                float* const kept = layer.cell + (v + b) * kLanes;
                cell = fma(sigmoid(gate[B]), load<F>(kept), cell);
                store(kept, cell);
            }
            const Fraction t = tanh_fraction(cell);
            store(out.at(n + i) + (v + b) * kLanes, quotient((leave.below + leave.above) * t.above, (leave.below + leave.below) * t.below));
        }
}

// From the zero state every frame is on its own.
template <class W> void lstm(const Layer& layer, const Inputs<W>& in, Frames out, const Share& share) {
    const uint8_t* stream = layer.stream;
    each_panel_of_units(vectors_of(layer), [&](auto size, int32_t v) {
        constexpr int B = decltype(size)::value, A = 3 * B;
        const uint8_t* const columns = stream + constant_blocks(W::precision, 1) * A * kBytes;
        each_tile(share, [&](auto tile, int32_t n) {
            Rows<A, decltype(tile)::value> gates;
            begin<W>(stream, gates);
            add<W>(stream, 0, columns, in.from(n), gates);
            finish<W>(stream, gates);
            units<3, B>(layer, gates, out, n, v);
        });
        stream = columns + in.groups * A * vector_bytes(W::precision);
    });
}

inline void meet(const Share& share) {
    if (share.threads > 1) share.meet(share.meeting);
}

// One frame through an LSTM that keeps its state: all weights as one stream, unless `begun` has what its input comes to. Each thread takes
// some of the panels.
template <class W>
void recur(const Program& program, const Layer& layer, const Inputs<W>& in, const Frames* begun, Frames out, int32_t n, const Share& share) {
    const int32_t place = share.frames + share.thread;  // behind the staged frames
    float *const last = n ? out.at(n - 1) : layer.hidden, *const range = program.ranges + 2 * place;
    Inputs<W> hidden{reinterpret_cast<const uint8_t*>(last), 0, range, groups_of<W>(layer.outputs)};
    if constexpr (!kAsTheyAre<W>) {
        uint8_t* const to = program.staged + place * program.staged_stride;
        stage<W>(last, layer.outputs, to, range);
        hidden.staged = to;
    }
    const uint8_t* stream = layer.stream;
    int32_t number = 0;
    each_panel_of_units(vectors_of(layer), [&](auto size, int32_t v) {
        constexpr int B = decltype(size)::value, A = 4 * B;
        const uint8_t* const columns = stream + constant_blocks(W::precision, 2) * A * kBytes;
        const uint8_t* const state = columns + in.groups * A * vector_bytes(W::precision);
        if (number++ % share.threads == share.thread) {
            Rows<A, 1> gates;
            if (begun) {
                for (int a = 0; a < A; ++a) gates.value[0][a] = load<F>(begun->at(n) + (4 * v + a) * kLanes);
            } else {
                begin<W>(stream, gates);
                add<W>(stream, 0, columns, in, gates);
            }
            add<W>(stream, 1, state, hidden, gates);
            finish<W>(stream, gates);
            units<4, B>(layer, gates, out, n, v);
        }
        stream = state + hidden.groups * A * vector_bytes(W::precision);
    });
}

// What the inputs of all frames come to in an LSTM's gates: one product, in which weights are read once for many frames.
template <class W> void begin_frames(const Layer& layer, const Inputs<W>& in, Frames begun, const Share& share) {
    const uint8_t* stream = layer.stream;
    const int32_t state_groups = groups_of<W>(layer.outputs);
    each_panel_of_units(vectors_of(layer), [&](auto size, int32_t v) {
        constexpr int A = 4 * decltype(size)::value;
        const uint8_t* const columns = stream + constant_blocks(W::precision, 2) * A * kBytes;
        each_tile(share, [&](auto tile, int32_t n) {
            constexpr int N = decltype(tile)::value;
            Rows<A, N> gates;
            begin<W>(stream, gates);
            add<W>(stream, 0, columns, in.from(n), gates);
            for (int i = 0; i < N; ++i)
                for (int a = 0; a < A; ++a) store(begun.at(n + i) + (4 * v + a) * kLanes, gates.value[i][a]);
        });
        stream = columns + (in.groups + state_groups) * A * vector_bytes(W::precision);
    });
}

// The frames in order, one after another; between any two of them all threads have to be there.
template <class W> void sequence(const Program& program, const Layer& layer, const Inputs<W>& in, Frames out, const Share& share) {
    const Frames begun{program.begun, program.begun_stride};
    const bool single = share.frames == 1 && share.threads == 1;
    if (!single) begin_frames<W>(layer, in, begun, share);
    meet(share);
    for (int32_t n = 0; n < share.frames; ++n) {
        recur<W>(program, layer, in, single ? nullptr : &begun, out, n, share);
        meet(share);
    }
    if (share.first < share.last && share.last == share.frames)  // it alone may write that frame next
        std::memcpy(layer.hidden, out.at(share.frames - 1), static_cast<size_t>(layer.outputs) * sizeof(float));
}

template <class W> void run_layer(const Program& program, const Layer& layer, Frames in, Frames out, const Share& share) {
    Inputs<W> inputs{program.staged, program.staged_stride, program.ranges, groups_of<W>(layer.inputs)};
    if (kAsTheyAre<W>) inputs = {reinterpret_cast<const uint8_t*>(in.data), in.stride * static_cast<int64_t>(sizeof(float)), nullptr, inputs.groups};
    for (int32_t n = share.first; n < share.last; ++n)
        stage<W>(in.at(n), layer.inputs, program.staged + n * program.staged_stride, program.ranges + 2 * n);
    if (layer.gates == 4) return sequence<W>(program, layer, inputs, out, share);
    if (layer.gates == 3) return lstm<W>(layer, inputs, out, share);
    dense<W>(layer, inputs, out, share);
}

template <class W> void run(const Program& program, const float* features, const Share& share, const uint8_t* enabled) {
    for (int32_t m = 0; m < program.model_count; ++m) {
        const Model& model = program.models[m];
        const Frames output{model.output, model.output_stride};
        if (!enabled[m]) {
            for (int32_t n = share.first; n < share.last; ++n) std::memset(output.at(n), 0, static_cast<size_t>(output.stride) * sizeof(float));
            continue;
        }
        Frames in{program.scratch[0], program.stride};
        for (int32_t n = share.first; n < share.last; ++n) {
            float* to = in.at(n);
            for (int32_t p = 0; p < model.piece_count; ++p) {
                const Piece& piece = model.pieces[p];
                const float* from = piece.source ? piece.source + static_cast<int64_t>(n) * piece.stride : features + static_cast<int64_t>(n) * program.feature_count;
                std::memcpy(to, from + piece.first, static_cast<size_t>(piece.count) * sizeof(float));
                to += piece.count;
            }
        }
        for (int32_t l = 0; l < model.layer_count; ++l) {
            const Frames out = l + 1 == model.layer_count ? output : Frames{program.scratch[(l + 1) % 2], program.stride};
            run_layer<W>(program, model.layers[l], in, out, share);
            in = out;
        }
    }
}

void activate(Activation activation, float* values, int32_t count) {
    if (activation == Activation::softmax) return softmax(values, count);
    for (int32_t i = 0; i < count; i += kLanes) store(values + i, apply(activation, load<F>(values + i)));
}

// The sum of all vectors, so that no read can be left out.
uint64_t read(const uint8_t* from, int64_t bytes) {
    I sums[8] = {};
    for (; bytes >= 8 * kBytes; bytes -= 8 * kBytes, from += 8 * kBytes)
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) sums[i] += load<I>(from + i * kBytes);
    uint64_t total = 0;
    for (const I& sum : sums)
        for (int l = 0; l < kLanes; ++l) total += static_cast<uint32_t>(sum[l]);
    return total;
}

#define QUOTED(name) #name
#define NAMED(name) QUOTED(name)

}  // namespace

extern const Level level;
const Level level = {NAMED(LEVEL), kLanes, kPanel, {run<Float32>, run<BFloat16>, run<Float16>, run<Int8>, run<Int24>}, activate, read};

}  // namespace small_models::LEVEL
