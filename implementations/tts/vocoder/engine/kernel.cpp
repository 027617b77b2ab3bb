// A convolution over time, channels last, by Toom and Cook's minimal filtering: in blocks of tiles that stay in the cache, leaky ReLU
// on the way in; bias, residual and the sum over blocks on the way out.
#include "kernel.hpp"

#include "product.hpp"
#include "simd.hpp"
#include "toom_cook.hpp"

namespace LEVEL {

using namespace vocoder;

namespace {

constexpr int kMostInputs = kOutputs * (kMostTiles + kMostSegments) + kPoints - kOutputs;

alignas(64) float zeros[kMostChannels];  // a row outside the rows

inline float* at(const Rows& rows, int64_t time) {
    return time < rows.begin || time >= rows.end ? zeros : rows.first + (time - rows.origin) * rows.stride;
}

inline VecF activated(const float* from, float slope) {
    const VecF x = load<VecF>(from);
    return most(x, slope * x);
}

// The tiles of a block: of one phase of the dilation, one after the other. Rows by time, zeros where there are none.
struct Block {
    int tiles;
    const float* in[kMostInputs];
    float* out[kOutputs * kMostTiles];
    const float* residual[kOutputs * kMostTiles];
    const float* total[kOutputs * kMostTiles];
};

// Rows at times first, first + step, ...
inline void find(const Rows& rows, int64_t first, int64_t step, int count, const float** found) {
    if (first >= rows.begin && first + step * (count - 1) < rows.end) {
        const float* row = rows.first + (first - rows.origin) * rows.stride;
        for (int i = 0; i < count; ++i) found[i] = row + i * step * rows.stride;
    } else {
        for (int i = 0; i < count; ++i) found[i] = at(rows, first + step * i);
    }
}

void find_rows(const Job& job, int64_t first, int tiles, float* nowhere, Block& block) {
    const Layer& layer = *job.layer;
    block.tiles = tiles;
    const int entering = kOutputs * (tiles + layer.segments - 1) + kPoints - kOutputs, leaving = kOutputs * tiles;
    const int64_t step = layer.dilation, before = (layer.taps - 1) / 2, left = (job.end - first + step - 1) / step;
    const int wanted = left < leaving ? static_cast<int>(left) : leaving;  // tiles may go on behind the end
    find(job.in, first - step * before, step, entering, block.in);
    for (int i = 0; i < wanted; ++i) block.out[i] = job.out.first + (first + step * i - job.out.origin) * job.out.stride;
    for (int i = wanted; i < leaving; ++i) block.out[i] = nowhere;
    const auto added = [&](const Rows& rows, const float** found) {
        if (!rows.first) return;
        find(rows, first, step, wanted, found);
        for (int i = wanted; i < leaving; ++i) found[i] = zeros;
    };
    added(job.residual, block.residual);
    added(job.total, block.total);
}

// How far what enters reaches from zero at each point, at most: from the largest and the smallest of it.
void reach_of(const Layer& layer, const Block& block, float (&reach)[kPoints]) {
    VecF high = {}, low = {};
    const int entering = kOutputs * (block.tiles + layer.segments - 1) + kPoints - kOutputs;
    for (int i = 0; i < entering; ++i)
        for (int c = 0; c < layer.inputs; c += kLanes) {
            const VecF x = load<VecF>(block.in[i] + c);
            high = most(high, x);
            low = least(low, x);
        }
    float top = 0, bottom = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
        top = top > high[lane] ? top : high[lane];
        bottom = bottom > -low[lane] ? bottom : -low[lane];
    }
    bottom *= layer.slope;
    for (int p = 0; p < kPoints; ++p) {
        const float one = kPositive[p] * top + kNegative[p] * bottom, other = kNegative[p] * top + kPositive[p] * bottom;
        reach[p] = one > other ? one : other;
    }
}

// One vector of channels at the points of one tile after another; three of seven rows are the next tile's first.
struct Window {
    VecF d[kPoints];
    void start(const float* const* rows, int c, float slope) {
        for (int i = 0; i < kPoints - kOutputs; ++i) d[kOutputs + i] = activated(rows[i] + c, slope);
    }
    void next(const float* const* rows, int c, float slope, VecF (&v)[kPoints]) {
        for (int i = 0; i < kPoints - kOutputs; ++i) d[i] = d[kOutputs + i];
        for (int i = kPoints - kOutputs; i < kPoints; ++i) d[i] = activated(rows[i] + c, slope);
        to_points(d, v);
    }
};

// How far it does reach: a bound would cost 8 bits one or two of them.
void reach_at_points(const Layer& layer, const Block& block, float (&reach)[kPoints]) {
    const int rows = block.tiles + layer.segments - 1;
    VecF high[kPoints] = {}, v[kPoints];
    for (int c = 0; c < layer.inputs; c += kLanes) {
        Window window;
        window.start(block.in, c, layer.slope);
        for (int i = 0; i < rows; ++i) {
            window.next(block.in + kOutputs * i, c, layer.slope, v);
            for (int p = 0; p < kPoints; ++p) high[p] = most(high[p], size_of(v[p]));
        }
    }
    for (int p = 0; p < kPoints; ++p) {
        reach[p] = 0;
        for (int lane = 0; lane < kLanes; ++lane) reach[p] = reach[p] > high[p][lane] ? reach[p] : high[p][lane];
    }
}

// entering (points, groups, rows, lanes): what enters, at the points; integers are multiplied by `factor` and rounded.
template <class Kind> void enter(const Layer& layer, const Block& block, const float (&factor)[kPoints], uint32_t* entering, int rows) {
    const int64_t point = int64_t{layer.groups} * rows * kLanes;
    for (int g = 0; g < layer.groups; ++g) {
        uint32_t* to = entering + int64_t{g} * rows * kLanes;
        Window windows[Kind::kChannels];
        // Units hold channels of so many neighbouring vectors. Where one is past the last channel, it meets weights of zero.
        const auto channel = [&](int part) {
            const int first = g * Kind::kChannels * kLanes, own = first + part * kLanes;
            return own < layer.inputs ? own : first;
        };
        for (int part = 0; part < Kind::kChannels; ++part) windows[part].start(block.in, channel(part), layer.slope);
        for (int i = 0; i < rows; ++i, to += kLanes) {
            VecF v[Kind::kChannels][kPoints];
            for (int part = 0; part < Kind::kChannels; ++part) windows[part].next(block.in + kOutputs * i, channel(part), layer.slope, v[part]);
            for (int p = 0; p < kPoints; ++p) {
                VecF of[Kind::kChannels];
                for (int part = 0; part < Kind::kChannels; ++part) of[part] = Kind::kChannels > 1 ? v[part][p] * factor[p] : v[part][p];
                store(to + p * point, Kind::units(of));
            }
        }
    }
}

// Back from the points, for `rows` tiles from `tile` on and one panel: with bias, residual and total, as far as they are given.
template <int vectors, class Kind, bool residual, bool total>
void leave(const Job& job, const Block& block, int tile, int rows, int c, const VecF* sums, const VecF* scales, const VecF* shifts) {
    for (int v = 0; v < vectors; ++v) {
        const int channel = c + v * kLanes;
        const VecF bias = load<VecF>(job.layer->bias + channel);
        for (int r = 0; r < rows; ++r) {
            VecF m[kPoints], y[kOutputs];
            for (int p = 0; p < kPoints; ++p) {
                m[p] = sums[(p * kMostRows + r) * vectors + v];
                if (Kind::kChannels > 1) m[p] *= scales[p * vectors + v];
                if (Kind::kChannels == 4) m[p] -= shifts[p * vectors + v];
            }
            from_points(m, y);
            const int first = kOutputs * (tile + r);
            for (int i = 0; i < kOutputs; ++i) {
                VecF out = y[i] + bias;
                if (residual) out += load<VecF>(block.residual[first + i] + channel);
                if (total) out += load<VecF>(block.total[first + i] + channel);
                store(block.out[first + i] + channel, out);
            }
        }
    }
}

template <int vectors, class Kind>
void leave(const Job& job, const Block& block, int tile, int rows, int c, const VecF* sums, const VecF* scales, const VecF* shifts) {
    const auto way = job.total.first      ? &leave<vectors, Kind, true, true>
                     : job.residual.first ? &leave<vectors, Kind, true, false>
                                          : &leave<vectors, Kind, false, false>;
    way(job, block, tile, rows, c, sums, scales, shifts);
}

template <class Kind, int vectors>
const uint32_t* panel(const Job& job, const Block& block, int c, const uint32_t* entering, int rows, const uint32_t* weights,
                      const float (&reach)[kPoints]) {
    const Layer& layer = *job.layer;
    alignas(64) VecF sums[kPoints * kMostRows * vectors], scales[kPoints * vectors], shifts[kPoints * vectors];
    if (Kind::kChannels > 1)
        for (int p = 0; p < kPoints; ++p)
            for (int v = 0; v < vectors; ++v) {
                const int place = p * layer.outputs + c + v * kLanes;
                scales[p * vectors + v] = load<VecF>(layer.scales + place) * (reach[p] / layer.limits[p]);
                if (Kind::kChannels == 4) shifts[p * vectors + v] = scales[p * vectors + v] * load<VecF>(layer.shifts + place);
            }
    const int parts = (block.tiles + kMostRows - 1) / kMostRows;
    const uint32_t* next = weights;
    for (int part = 0, tile = 0; part < parts; ++part) {
        const int count = (block.tiles - tile + parts - part - 1) / (parts - part);
        const auto multiply = product_of<Kind, vectors>(count);
        next = weights;
        for (int p = 0; p < kPoints; ++p) {
            const uint32_t* from = entering + (int64_t{p} * layer.groups * rows + tile) * kLanes;
            next = multiply(from, int64_t{rows} * kLanes, layer.groups, layer.depth[p], next, sums + p * kMostRows * vectors);
        }
        leave<vectors, Kind>(job, block, tile, count, c, sums, scales, shifts);
        tile += count;
    }
    return next;
}

template <class Kind> void convolve_block(const Job& job, const Block& block, uint32_t* entering) {
    const Layer& layer = *job.layer;
    const int rows = block.tiles + layer.segments - 1;
    float reach[kPoints], factor[kPoints];
    if (Kind::kChannels > 1) {
        Kind::kChannels == 4 ? reach_at_points(layer, block, reach) : reach_of(layer, block, reach);
        for (int p = 0; p < kPoints; ++p) factor[p] = reach[p] > 1e-30f ? layer.limits[p] / reach[p] : 0;  // what is less, counts as zero
    }
    enter<Kind>(layer, block, factor, entering, rows);
    const uint32_t* weights = layer.weights;
    int c = 0;
    for (; c + 2 * kLanes <= layer.outputs; c += 2 * kLanes) weights = panel<Kind, 2>(job, block, c, entering, rows, weights, reach);
    if (c < layer.outputs) panel<Kind, 1>(job, block, c, entering, rows, weights, reach);
}

void convolve(const Job& job, void* scratch) {
    const Layer& layer = *job.layer;
    float* nowhere = static_cast<float*>(scratch);
    uint32_t* entering = static_cast<uint32_t*>(scratch) + (layer.outputs + 15) / 16 * 16;
    Block block;
    for (int64_t phase = 0; phase < layer.dilation && job.begin + phase < job.end; ++phase) {
        const int64_t steps = (job.end - job.begin - phase + layer.dilation - 1) / layer.dilation;
        const int64_t tiles = (steps + kOutputs - 1) / kOutputs, parts = (tiles + layer.tiles - 1) / layer.tiles;
        for (int64_t part = 0, tile = 0; part < parts; ++part) {
            const int64_t count = (tiles - tile + parts - part - 1) / (parts - part);
            find_rows(job, job.begin + phase + layer.dilation * kOutputs * tile, static_cast<int>(count), nowhere, block);
            const auto way = layer.bits == 8 ? &convolve_block<Byte> : layer.bits == 16 ? &convolve_block<Short> : &convolve_block<Float>;
            way(job, block, entering);
            tile += count;
        }
    }
}

void finish(const Last& last, const Rows& in, int64_t begin, int64_t end, float* wave) {
    const int64_t before = (last.taps - 1) / 2;
    for (int64_t time = begin; time < end; time += kLanes) {
        VecF sums[kLanes] = {};
        for (int i = 0; i < kLanes; ++i)
            for (int tap = 0; tap < last.taps; ++tap) {
                const float* row = at(in, time + i + tap - before);
                const float* weights = last.weights + tap * last.channels;
                for (int c = 0; c < last.channels; c += kLanes) sums[i] += activated(row + c, last.slope) * load<VecF>(weights + c);
            }
        const VecF totals = each_sum(sums) + last.bias;
        for (int i = 0; i < kLanes && time + i < end; ++i) wave[time + i - begin] = __builtin_tanhf(totals[i]);
    }
}

}  // namespace

#define STRING(name) #name
#define NAME(name) STRING(name)
extern const Level level;
const Level level = {NAME(LEVEL), kLanes, kMostRows, &convolve, &finish};

}  // namespace LEVEL
