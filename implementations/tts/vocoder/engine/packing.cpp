#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "packing.hpp"

namespace vocoder {

namespace {

constexpr double kFinite[] = {0, 1, -1, 2, -2, 0.5};
constexpr double kLargest = 2147483647.0, kByte = 127;
constexpr int kFloatBytes = 128 << 10, kIntegerBytes = 48 << 10;  // for what enters a block: it shares the caches with a panel and a tile's rows

// Four taps at a point: their polynomial there, over the product of the distances to the other points; at infinity the last tap.
double at_point(int point, const double (&taps)[kTaps]) {
    if (point == kPoints - 1) return taps[kTaps - 1];
    double value = 0, power = 1, distances = 1;
    for (const double tap : taps) {
        value += tap * power;
        power *= kFinite[point];
    }
    for (int other = 0; other < kPoints - 1; ++other)
        if (other != point) distances *= kFinite[point] - kFinite[other];
    return value / distances;
}

// All weights at one point, (outputs, segments, inputs).
std::vector<double> transformed(const Plain& plain, int point, int segments) {
    std::vector<double> found(static_cast<size_t>(plain.outputs) * segments * plain.inputs);
    for (int o = 0; o < plain.outputs; ++o)
        for (int s = 0; s < segments; ++s)
            for (int c = 0; c < plain.inputs; ++c) {
                double taps[kTaps] = {};
                for (int j = 0; j < kTaps && s * kTaps + j < plain.taps; ++j)
                    taps[j] = plain.weights[(static_cast<size_t>(o) * plain.inputs + c) * plain.taps + s * kTaps + j];
                found[(static_cast<size_t>(o) * segments + s) * plain.inputs + c] = at_point(point, taps);
            }
    return found;
}

// Rounds the weights of one point to integers, an output's own scale each, and says what may enter: both as large as 32 bits of sum allow, or
// as 8 bits hold, of which no sum is too long.
void quantize(std::vector<double>& weights, int outputs, int bits, float* scales, float* shifts, float& limit) {
    const size_t row = weights.size() / outputs;
    double ratio = 1;
    std::vector<double> largest(outputs);
    for (int o = 0; o < outputs; ++o) {
        double sum = 0;
        for (size_t i = o * row; i < (o + 1) * row; ++i) {
            largest[o] = std::max(largest[o], std::abs(weights[i]));
            sum += std::abs(weights[i]);
        }
        if (largest[o] > 0) ratio = std::max(ratio, sum / largest[o]);
    }
    const double most = bits == 8 ? kByte : std::min(32766.0, std::floor(std::sqrt(kLargest / ratio)));
    double heaviest = 1;
    for (int o = 0; o < outputs; ++o) {
        const double scale = largest[o] / most;
        double sum = 0, own = 0;
        for (size_t i = o * row; i < (o + 1) * row; ++i) {
            weights[i] = scale > 0 ? std::nearbyint(weights[i] / scale) : 0;
            sum += std::abs(weights[i]);
            own += weights[i];
        }
        scales[o] = static_cast<float>(scale);
        shifts[o] = static_cast<float>((kByte + 1) * own);
        heaviest = std::max(heaviest, sum);
    }
    limit = static_cast<float>(bits == 8 ? kByte : std::min(32766.0, std::floor(kLargest / heaviest) - 1));
}

uint32_t unit(double value) {
    const auto number = static_cast<float>(value);
    uint32_t bits;
    std::memcpy(&bits, &number, 4);
    return bits;
}

// `bits` of an integer, at the place of a part of a unit.
uint32_t unit(double value, int bits, int part) {
    return (static_cast<uint32_t>(static_cast<int32_t>(value)) & ((1u << bits) - 1)) << (bits * part);
}

}  // namespace

Packed pack(const Plain& plain, int dilation, float slope, int bits, int lanes) {
    Packed packed;
    Layer& layer = packed.layer;
    layer.inputs = padded(plain.inputs, lanes);
    layer.outputs = padded(plain.outputs, lanes);
    layer.taps = plain.taps;
    layer.segments = (plain.taps + kTaps - 1) / kTaps;
    layer.dilation = dilation;
    layer.slope = slope;
    layer.bits = bits;
    const int parts = 32 / bits, channels = parts * lanes;  // of a unit, of a group
    layer.groups = (layer.inputs + channels - 1) / channels;
    if (layer.segments > kMostSegments || layer.inputs > kMostChannels || layer.outputs > kMostChannels)
        throw std::invalid_argument("convolution: expected at most 32 taps and 4096 channels, found " + std::to_string(plain.taps) + " and " +
                                    std::to_string(std::max(layer.inputs, layer.outputs)));
    layer.tiles = std::clamp((parts == 1 ? kFloatBytes : kIntegerBytes) / (4 * kPoints * layer.groups * lanes) - layer.segments, 12, kMostTiles);

    int64_t depths = 0;
    for (int p = 0; p < kPoints; ++p) {
        layer.depth[p] = layer.segments - (p == kPoints - 1 && plain.taps % kTaps != 0);
        depths += layer.depth[p];
    }
    const int64_t row = int64_t{layer.groups} * lanes;  // units of a segment
    const int64_t count = depths * row * layer.outputs;
    packed.weights = allocate<uint32_t>(count);
    packed.scales = allocate<float>(int64_t{kPoints} * layer.outputs);
    packed.bias = allocate<float>(layer.outputs);
    packed.shifts = allocate<float>(int64_t{kPoints} * layer.outputs);
    packed.bytes = 4 * (count + layer.outputs + (parts > 1 ? kPoints * layer.outputs : 0) + (parts == 4 ? kPoints * layer.outputs : 0));
    std::copy(plain.bias.begin(), plain.bias.end(), packed.bias.get());

    int64_t before = 0;  // depths of the points before
    for (int p = 0; p < kPoints; before += layer.depth[p++]) {
        std::vector<double> weights = transformed(plain, p, layer.segments);
        float* scales = packed.scales.get() + p * layer.outputs;
        if (parts > 1) quantize(weights, plain.outputs, bits, scales, packed.shifts.get() + p * layer.outputs, layer.limits[p]);
        const auto weight = [&](int o, int s, int c) {
            return o < plain.outputs && c < plain.inputs ? weights[(static_cast<size_t>(o) * layer.segments + s) * plain.inputs + c] : 0.0;
        };
        for (int first = 0; first < layer.outputs; first += 2 * lanes) {
            const int width = std::min(2 * lanes, layer.outputs - first);
            uint32_t* to = packed.weights.get() + first * depths * row + before * row * width;
            for (int s = 0; s < layer.depth[p]; ++s)
                for (int g = 0; g < layer.groups; ++g)
                    for (int u = 0; u < lanes; ++u)
                        for (int o = first; o < first + width; ++o) {
                            const int c = g * channels + u;
                            if (parts == 1) *to = unit(weight(o, s, c));
                            // Two channels of a unit lie a vector apart, four are neighbours (simd.hpp).
                            for (int part = 0; parts > 1 && part < parts; ++part) {
                                const int other = parts == 2 ? c + part * lanes : g * channels + u % 4 * lanes + u / 4 * 4 + part;
                                *to |= unit(weight(o, s, other), bits, part);
                            }
                            ++to;
                        }
        }
    }
    layer.weights = packed.weights.get();
    layer.scales = packed.scales.get();
    layer.shifts = packed.shifts.get();
    layer.bias = packed.bias.get();
    return packed;
}

Plain upsampling(const float* weights, const float* bias, int inputs, int outputs, int taps, int rate, int width) {
    // Step `rate * i + tap - padding` takes from row i: rows `reach` before it to `reach` after it, at most.
    const int padding = (taps - rate) / 2, reach = (rate - 1 + padding) / rate;
    Plain plain{rate * width, inputs, 2 * reach + 1, {}, {}};
    plain.weights.resize(static_cast<size_t>(plain.outputs) * inputs * plain.taps);
    plain.bias.resize(plain.outputs);
    for (int step = 0; step < rate; ++step)
        for (int o = 0; o < outputs; ++o) {
            const size_t row = static_cast<size_t>(step) * width + o;
            plain.bias[row] = bias[o];
            for (int i = -reach; i <= reach; ++i) {
                const int tap = step + padding - i * rate;
                if (tap < 0 || tap >= taps) continue;
                for (int c = 0; c < inputs; ++c)
                    plain.weights[(row * inputs + c) * plain.taps + i + reach] = weights[(static_cast<size_t>(c) * outputs + o) * taps + tap];
            }
        }
    return plain;
}

}  // namespace vocoder
