// The packed file: what models there are, how they feed each other, and their weights, row by row. Little-endian, 4-byte aligned:
//
//     "SMALLMDL", version, precision, stateful, features, models, CRC-32 of all the rest (uint32 each)
//     per model:  bytes of its name (uint32), the name, padded to 4 bytes with zeros
//                 pieces (uint32); per piece: source (int32: -1 the features, else an earlier model), first, count (uint32)
//                 layers (uint32); per layer: kind (0 dense, 1 LSTM), activation, inputs, outputs (uint32)
//     per layer:  biases (float32, rows), then the matrix of its input, and of its state where `stateful`:
//                 int8: scales (float32, rows); elements (rows, columns), padded to 4 bytes; those of int24 are float32. bfloat16: an odd
//                 column's value counts the bits of the even one before it, as if these followed its own
//
// A dense layer has as many rows as outputs. An LSTM has gates * outputs: input, forget, cell, output; without state the forget gate is left out.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "kernel.hpp"
#include "small_models.h"

namespace small_models {

struct Matrix {
    const float* scales = nullptr;  // int8
    const uint8_t* elements = nullptr;
    size_t columns = 0;
};

struct PackedLayer {
    bool recurrent;
    Activation activation;
    uint32_t inputs, outputs;
    const float* biases;
    Matrix input, state;
};

struct PackedPiece {
    int32_t source;
    uint32_t first, count;
};

struct PackedModel {
    std::string name;
    std::vector<PackedPiece> pieces;
    std::vector<PackedLayer> layers;
    uint32_t outputs() const { return layers.back().outputs; }
};

struct Packed {
    Precision precision;
    bool stateful;
    uint32_t features;
    std::vector<PackedModel> models;
};

constexpr uint32_t kMost = 1 << 16;  // width of a layer; and 64 models of 64 layers: far above what is real time

// Reads and never passes the end: after a failure everything is 0 or null, and `good` is false.
class Reader {
  public:
    Reader(const uint8_t* at, size_t left) : at_(at), left_(left) {}
    bool good() const { return good_; }
    size_t left() const { return left_; }
    const uint8_t* take(size_t bytes) {
        const size_t padded = (bytes + 3) / 4 * 4;
        if (!good_ || padded > left_) {
            good_ = false;
            return nullptr;
        }
        const uint8_t* found = at_;
        at_ += padded;
        left_ -= padded;
        return found;
    }
    uint32_t number() {
        uint32_t value = 0;
        if (const uint8_t* from = take(4)) std::memcpy(&value, from, 4);
        return value;
    }
    uint32_t number(uint32_t least, uint32_t most) {
        const uint32_t value = number();
        good_ = good_ && value >= least && value <= most;
        return good_ ? value : least;
    }
    const float* finite(size_t count) {
        const auto* found = reinterpret_cast<const float*>(take(count * sizeof(float)));
        for (size_t i = 0; found && i < count; ++i)
            if (!std::isfinite(found[i])) good_ = false;
        return good_ ? found : nullptr;
    }

  private:
    const uint8_t* at_;
    size_t left_;
    bool good_ = true;
};

// CRC-32 as zlib has it, going on from what it is of the bytes before.
inline uint32_t checksum(const uint8_t* bytes, size_t size, uint32_t before = 0) {
    uint32_t table[256];
    for (uint32_t i = 0; i < 256; ++i) {
        table[i] = i;
        for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320u : 0);
    }
    uint32_t found = ~before;
    for (size_t i = 0; i < size; ++i) found = found >> 8 ^ table[(found ^ bytes[i]) & 0xff];
    return ~found;
}

inline bool finite_elements(const uint8_t* elements, size_t count, Precision precision) {
    if (precision == Precision::int8) return true;
    const bool wide = precision == Precision::float32 || precision == Precision::int24;
    const uint32_t exponent = wide ? 0x7f800000 : precision == Precision::float16 ? 0x7c00 : 0x7f80;
    for (size_t i = 0; i < count; ++i) {
        uint32_t bits = 0;
        std::memcpy(&bits, elements + i * (wide ? 4 : 2), wide ? 4 : 2);
        if ((bits & exponent) == exponent) return false;
    }
    return true;
}

inline void read_matrix(Reader& reader, size_t rows, size_t columns, Precision precision, Matrix& matrix, bool& finite) {
    matrix.columns = columns;
    if (precision == Precision::int8) matrix.scales = reader.finite(rows);
    const Precision stored = precision == Precision::int24 ? Precision::float32 : precision;
    matrix.elements = reader.take(rows * columns * static_cast<size_t>(element_bytes(stored)));
    finite = finite && matrix.elements && finite_elements(matrix.elements, rows * columns, precision);
}

inline bool read_model(Reader& reader, const Packed& packed, PackedModel& model) {
    const uint32_t length = reader.number(1, 255);
    const uint8_t* name = reader.take(length);
    if (!name) return false;
    model.name.assign(reinterpret_cast<const char*>(name), length);
    if (model.name.find('\0') != std::string::npos) return false;
    uint32_t width = 0;
    const auto earlier = static_cast<uint32_t>(packed.models.size());
    for (uint32_t left = reader.number(1, 64); left && reader.good(); --left) {
        const auto source = static_cast<int32_t>(reader.number());
        const uint32_t first = reader.number(0, kMost), count = reader.number(1, kMost);
        if (source < -1 || source >= static_cast<int32_t>(earlier)) return false;
        const uint32_t there = source < 0 ? packed.features : packed.models[static_cast<size_t>(source)].outputs();
        if (first + count > there || (width += count) > kMost) return false;
        model.pieces.push_back({source, first, count});
    }
    for (uint32_t left = reader.number(1, 64); left && reader.good(); --left) {
        PackedLayer layer{};
        layer.recurrent = reader.number(0, 1) == 1;
        layer.activation = static_cast<Activation>(reader.number(0, 4));
        layer.inputs = reader.number(1, kMost);
        layer.outputs = reader.number(1, kMost);
        if (layer.inputs != width) return false;
        width = layer.outputs;
        model.layers.push_back(layer);
    }
    return reader.good();
}

// What the bytes say; the pointers are into them. The bytes are aligned to 4.
inline sm_status read(const uint8_t* bytes, size_t size, Packed& packed) {
    if (size < 8 || std::memcmp(bytes, "SMALLMDL", 8) != 0) return SM_NOT_PACKED;
    Reader reader(bytes + 8, size - 8);
    const uint32_t version = reader.number();
    if (!reader.good()) return SM_CORRUPT;
    if (version != SM_VERSION) return SM_OTHER_VERSION;
    packed.precision = static_cast<Precision>(reader.number(0, 4));
    packed.stateful = reader.number(0, 1) == 1;
    packed.features = reader.number(1, kMost);
    const uint32_t models = reader.number(1, 64);
    const uint32_t expected = reader.number();
    if (!reader.good()) return SM_CORRUPT;
    const size_t head = size - reader.left();
    if (checksum(bytes + head, reader.left(), checksum(bytes, head - sizeof expected)) != expected) return SM_CORRUPT;
    for (uint32_t m = 0; m < models; ++m) {
        PackedModel model;
        if (!read_model(reader, packed, model)) return SM_CORRUPT;
        packed.models.push_back(std::move(model));
    }
    bool finite = true;
    for (PackedModel& model : packed.models)
        for (PackedLayer& layer : model.layers) {
            const size_t rows = static_cast<size_t>(layer.outputs) * (!layer.recurrent ? 1 : packed.stateful ? 4 : 3);
            layer.biases = reader.finite(rows);
            read_matrix(reader, rows, layer.inputs, packed.precision, layer.input, finite);
            if (layer.recurrent && packed.stateful) read_matrix(reader, rows, layer.outputs, packed.precision, layer.state, finite);
        }
    return reader.good() && reader.left() == 0 && finite ? SM_OK : SM_CORRUPT;
}

}  // namespace small_models
