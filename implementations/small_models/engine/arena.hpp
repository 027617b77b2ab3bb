// The one allocation: models, weights as panels, state and scratch, in the order in which they are used.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "packed.hpp"

namespace small_models {

constexpr size_t kHugePage = size_t{2} << 20;

// Pages of zeros from the system. Large arenas ask for huge pages: a pass over them touches more small pages than the TLB holds.
class Memory {
  public:
    Memory() = default;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    ~Memory() {
        if (start_) munmap(start_, mapped_);
    }
    bool allocate(size_t bytes) {
        const bool huge = bytes >= kHugePage / 2;
        size_ = bytes;
        mapped_ = bytes + (huge ? 2 * kHugePage : 0);
        void* found = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (found == MAP_FAILED) return false;
        start_ = data_ = static_cast<uint8_t*>(found);
        if (huge) {
            data_ += (kHugePage - reinterpret_cast<uintptr_t>(data_) % kHugePage) % kHugePage;
#if defined(MADV_HUGEPAGE)
            madvise(data_, (bytes + kHugePage - 1) / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
        }
        std::memset(data_, 0, bytes);  // the pages are there from now on
        return true;
    }
    uint8_t* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    uint8_t *start_ = nullptr, *data_ = nullptr;
    size_t size_ = 0, mapped_ = 0;
};

// Hands out parts of the arena one after another; without memory it only counts them.
class Cursor {
  public:
    explicit Cursor(uint8_t* base) : base_(base) {}
    template <class T> T* take(size_t count) {
        used_ = (used_ + 63) / 64 * 64;
        uint8_t* found = base_ ? base_ + used_ : nullptr;
        used_ += count * sizeof(T);
        return reinterpret_cast<T*>(found);
    }
    size_t used() const { return used_; }

  private:
    uint8_t* base_;
    size_t used_ = 0;
};

// What the arena is laid out for.
struct Target {
    const Level* level;
    bool stateful;
    size_t batch, threads;
};

// Rows of a panel: vector a, lane l is row `row[a * lanes + l]` of the packed matrices, or -1 where the panel has more rows than there are.
using RowsOfPanel = std::vector<int64_t>;

inline std::vector<RowsOfPanel> panels(const PackedLayer& layer, bool packed_state, bool stateful, const Level& level) {
    std::vector<RowsOfPanel> found;
    const int64_t lanes = level.lanes, outputs = layer.outputs, vectors = (outputs + lanes - 1) / lanes;
    const auto rows = [&](RowsOfPanel& panel, int64_t first, int64_t count, int64_t offset) {
        for (int64_t i = first * lanes; i < (first + count) * lanes; ++i) panel.push_back(i < outputs ? offset + i : -1);
    };
    int64_t size = layer.recurrent ? level.panel / 4 : level.panel;
    for (int64_t v = 0; v < vectors; v += size) {
        while (size > vectors - v) size /= 2;
        RowsOfPanel panel;
        if (!layer.recurrent) {
            rows(panel, v, size, 0);
        } else {
            for (int64_t gate = 0; gate < 4; ++gate) {
                if (gate == 1 && !stateful) continue;
                rows(panel, v, size, (gate - (gate > 1 && !packed_state)) * outputs);
            }
        }
        found.push_back(std::move(panel));
    }
    return found;
}

// One row's scale for all its matrices, so that their products share a sum.
inline double fixed_scale(const PackedLayer& layer, size_t row) {
    float most = 0;
    for (const Matrix* matrix : {&layer.input, &layer.state})
        for (size_t k = 0; matrix->elements && k < matrix->columns; ++k)
            most = std::max(most, std::fabs(reinterpret_cast<const float*>(matrix->elements)[row * matrix->columns + k]));
    return most > 0 ? static_cast<float>(most / 8388607.0) : 1.0f;
}

inline void write_element(uint8_t* to, const Matrix& matrix, size_t row, size_t column, Precision as, double scale) {
    const size_t place = row * matrix.columns + column;
    if (as != Precision::int24) {
        const auto bytes = static_cast<size_t>(element_bytes(as));
        std::memcpy(to, matrix.elements + place * bytes, bytes);
        return;
    }
    const double exact = std::nearbyint(reinterpret_cast<const float*>(matrix.elements)[place] / scale);
    const auto number = static_cast<int32_t>(std::min(8388607.0, std::max(-8388607.0, exact)));
    std::memcpy(to, &number, 3);  // little-endian, as everything here
}

// The panel's weights of one input, as Layer in kernel.hpp describes them.
inline uint8_t* write_columns(uint8_t* to, const Matrix& matrix, const RowsOfPanel& rows, Precision as, const std::vector<double>& scales) {
    const auto together = static_cast<size_t>(group(as)), bytes = static_cast<size_t>(element_bytes(as));
    for (size_t column = 0; column < matrix.columns; column += together)
        for (size_t i = 0; i < rows.size(); ++i)
            for (size_t k = column; k < column + together; ++k, to += bytes)
                if (rows[i] >= 0 && k < matrix.columns) write_element(to, matrix, static_cast<size_t>(rows[i]), k, as, scales[i]);
    return to;
}

inline void write_scales(float* to, const Matrix& matrix, const RowsOfPanel& rows) {
    for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < 0) continue;
        const auto row = static_cast<size_t>(rows[i]);
        const auto* elements = reinterpret_cast<const int8_t*>(matrix.elements) + row * matrix.columns;
        int64_t sum = 0;
        for (size_t k = 0; k < matrix.columns; ++k) sum += elements[k];
        to[i] = matrix.scales[row];
        to[rows.size() + i] = static_cast<float>(matrix.scales[row] * static_cast<double>(sum));
    }
}

inline uint8_t* write_panel(uint8_t* to, const PackedLayer& layer, const RowsOfPanel& rows, bool state, Precision as) {
    auto* floats = reinterpret_cast<float*>(to);
    std::vector<double> scales(rows.size(), 1.0);
    for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i] < 0) continue;
        const auto row = static_cast<size_t>(rows[i]);
        floats[i] = layer.biases[row];
        if (as != Precision::int24) continue;
        scales[i] = fixed_scale(layer, row);
        floats[rows.size() + i] = static_cast<float>(scales[i] / 256);
    }
    if (as == Precision::int8) {
        write_scales(floats + rows.size(), layer.input, rows);
        if (state) write_scales(floats + 3 * rows.size(), layer.state, rows);
    }
    to += rows.size() * static_cast<size_t>(constant_blocks(as, state ? 2 : 1)) * sizeof(float);
    to = write_columns(to, layer.input, rows, as, scales);
    return state ? write_columns(to, layer.state, rows, as, scales) : to;
}

// Takes the layer's stream from the arena, and fills it where there is memory.
inline uint8_t* write_layer(Cursor& cursor, const PackedLayer& layer, const Packed& packed, const Target& target, size_t& weight_bytes) {
    const bool state = layer.recurrent && target.stateful;
    const auto all = panels(layer, packed.stateful, target.stateful, *target.level);
    const auto together = static_cast<size_t>(group(packed.precision)), bytes = static_cast<size_t>(element_bytes(packed.precision));
    const size_t groups = (layer.inputs + together - 1) / together + (state ? (layer.outputs + together - 1) / together : 0);
    const auto blocks = static_cast<size_t>(constant_blocks(packed.precision, state ? 2 : 1));
    size_t size = 0;
    for (const auto& rows : all) size += rows.size() * (blocks * sizeof(float) + groups * together * bytes);
    weight_bytes += size;
    uint8_t* const stream = cursor.take<uint8_t>(size);
    uint8_t* to = stream;
    if (stream)
        for (const auto& rows : all) to = write_panel(to, layer, rows, state, packed.precision);
    return stream;
}

// Everything a level needs, laid out; called once to count and once to fill.
struct Layout {
    Program program{};
    std::vector<float*> outputs;  // of the models, (batch, stride)
    uint8_t* state = nullptr;     // all hidden and cell values, `state_bytes` of them
    size_t state_bytes = 0, weight_bytes = 0;
};

inline Layout lay_out(Cursor& cursor, const Packed& packed, const Target& target) {
    const bool stateful = target.stateful;
    const size_t batch = target.batch;
    Layout found;
    const auto padded = [&](size_t width) { return (width + 15) / 16 * 16; };
    size_t widest = packed.features, state_floats = 0, widest_gates = 0;
    for (const auto& model : packed.models)
        for (const auto& layer : model.layers) {
            widest = std::max<size_t>({widest, layer.inputs, layer.outputs});
            if (!layer.recurrent || !stateful) continue;
            state_floats += 2 * padded(layer.outputs);
            widest_gates = std::max(widest_gates, 4 * padded(layer.outputs));
        }
    const size_t stride = padded(widest + 1), count = packed.models.size();
    auto* models = cursor.take<Model>(count);
    auto* state = cursor.take<float>(state_floats);
    found.state = reinterpret_cast<uint8_t*>(state);
    found.state_bytes = state_floats * sizeof(float);
    found.program.models = models;
    found.program.model_count = static_cast<int32_t>(count);
    found.program.stride = static_cast<int32_t>(stride);
    found.program.feature_count = static_cast<int32_t>(packed.features);
    for (auto& scratch : found.program.scratch) scratch = cursor.take<float>(batch * stride);
    found.program.staged_stride = static_cast<int64_t>(stride * sizeof(float));
    found.program.staged = cursor.take<uint8_t>((batch + target.threads) * stride * sizeof(float));
    found.program.ranges = cursor.take<float>(2 * (batch + target.threads));
    if (batch > 1) found.program.begun = cursor.take<float>(batch * widest_gates);
    found.program.begun_stride = static_cast<int32_t>(widest_gates);
    for (const auto& model : packed.models) found.outputs.push_back(cursor.take<float>(batch * padded(model.outputs())));
    for (size_t m = 0; m < count; ++m) {
        const auto& model = packed.models[m];
        auto* pieces = cursor.take<Piece>(model.pieces.size());
        auto* layers = cursor.take<Layer>(model.layers.size());
        for (size_t l = 0; l < model.layers.size(); ++l) {
            const auto& layer = model.layers[l];
            uint8_t* stream = write_layer(cursor, layer, packed, target, found.weight_bytes);
            if (!layers) continue;
            layers[l] = {stream, layer.recurrent ? (stateful ? 4 : 3) : 0, static_cast<int32_t>(layer.inputs), static_cast<int32_t>(layer.outputs),
                         layer.activation, nullptr, nullptr};
            if (layers[l].gates == 4) {
                layers[l].hidden = state;
                layers[l].cell = state + padded(layer.outputs);
                state += 2 * padded(layer.outputs);
            }
        }
        if (!models) continue;
        for (size_t p = 0; p < model.pieces.size(); ++p) {
            const auto& piece = model.pieces[p];
            const auto source = static_cast<size_t>(std::max(piece.source, 0));
            pieces[p] = {piece.source < 0 ? nullptr : found.outputs[source], static_cast<int32_t>(padded(packed.models[source].outputs())),
                         static_cast<int32_t>(piece.first), static_cast<int32_t>(piece.count)};
        }
        models[m] = {layers, pieces, static_cast<int32_t>(model.layers.size()), static_cast<int32_t>(model.pieces.size()), found.outputs[m],
                     static_cast<int32_t>(padded(model.outputs()))};
    }
    cursor.take<uint8_t>(kSlack);
    return found;
}

}  // namespace small_models
