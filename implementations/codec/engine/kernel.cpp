// Causal convolutions over time, channels last: as they are, or by Toom and Cook's minimal filtering. Runs of rows of one item and one
// phase of the dilation are gathered into a block, which then meets one panel of weights after the other.
#include "kernel.hpp"

#include "../../tts/vocoder/engine/product.hpp"
#include "../../tts/vocoder/engine/simd.hpp"
#include "../../tts/vocoder/engine/toom_cook.hpp"

namespace LEVEL {

namespace {

constexpr int kMostRuns = 64;

alignas(64) float zeros[kMostChannels];  // a row after the last

inline const float* at(const codec::Layer& layer, const codec::Rows& rows, int64_t time) {
    if (time < 0) return rows.past + (layer.past() + time) * rows.stride;
    return time < rows.count ? rows.first + time * rows.stride : zeros;
}

// Four outputs of four taps from seven points.
struct Filtered {
    static constexpr int kPoints = vocoder::kPoints, kOutputs = vocoder::kOutputs;
    static void enter(const VecF (&d)[kPoints], VecF (&v)[kPoints]) { to_points(d, v); }
    static void leave(const VecF (&m)[kPoints], VecF (&y)[kOutputs]) { from_points(m, y); }
};

// An output of a tap.
struct Direct {
    static constexpr int kPoints = 1, kOutputs = 1;
    static void enter(const VecF (&d)[1], VecF (&v)[1]) { v[0] = d[0]; }
    static void leave(const VecF (&m)[1], VecF (&y)[1]) { y[0] = m[0]; }
};

// Tiles of one item that follow each other at the distance of the dilation, and their first row in the block.
struct Run {
    const codec::Item* item;
    int64_t first;
    int tiles, row;
};

struct Block {
    int rows = 0, count = 0;
    Run runs[kMostRuns];
};

// entering (points, groups, rows, lanes): what enters, at the points.
template <class Way> void enter(const codec::Layer& layer, const Run& run, float* entering, int rows) {
    constexpr int kept = Way::kPoints - Way::kOutputs;
    const int tiles = run.tiles + layer.packed.segments - 1, groups = layer.packed.groups;
    const float* in[Way::kOutputs * kMostTiles + kept];
    for (int i = 0; i < Way::kOutputs * tiles + kept; ++i)
        in[i] = at(layer, run.item->in, run.first + int64_t{layer.packed.dilation} * (i - layer.before));
    const int64_t point = int64_t{groups} * rows * kLanes;
    for (int g = 0; g < groups; ++g) {
        float* to = entering + (int64_t{g} * rows + run.row) * kLanes;
        VecF d[Way::kPoints], v[Way::kPoints];
        for (int i = 0; i < kept; ++i) d[Way::kOutputs + i] = load<VecF>(in[i] + g * kLanes);
        for (int tile = 0; tile < tiles; ++tile, to += kLanes) {
            for (int i = 0; i < kept; ++i) d[i] = d[Way::kOutputs + i];
            for (int i = kept; i < Way::kPoints; ++i) d[i] = load<VecF>(in[Way::kOutputs * tile + i] + g * kLanes);
            Way::enter(d, v);
            for (int p = 0; p < Way::kPoints; ++p) store(to + p * point, v[p]);
        }
    }
}

// Back from the points, for all tiles of a run and the channels from c on. sums (points, rows, vectors).
template <class Way, int vectors> void leave(const codec::Job& job, const Run& run, int c, const VecF* sums, int rows) {
    const codec::Layer& layer = *job.layer;
    const codec::Item& item = *run.item;
    for (int v = 0; v < vectors; ++v) {
        const int channel = c + v * kLanes;
        const VecF bias = load<VecF>(layer.packed.bias + channel);
        for (int tile = 0; tile < run.tiles; ++tile) {
            VecF m[Way::kPoints], y[Way::kOutputs];
            for (int p = 0; p < Way::kPoints; ++p) m[p] = sums[(p * rows + run.row + tile) * vectors + v];
            Way::leave(m, y);
            for (int i = 0; i < Way::kOutputs; ++i) {
                const int64_t time = run.first + int64_t{layer.packed.dilation} * (Way::kOutputs * tile + i);
                if (time >= job.end) break;
                const int64_t place = time * layer.packed.outputs + channel;
                VecF out = y[i] + bias;
                out = most(out, VecF{}) + layer.slope * least(out, VecF{});
                if (item.residual) out += load<VecF>(item.residual + place);
                store(item.out + place, out);
            }
        }
    }
}

// Point by point, so that the weights of one stay in the cache for all rows. Rows between two runs are multiplied too and then left
// alone: that costs less than products of few rows.
template <class Way, int vectors>
void panel(const codec::Job& job, const Block& block, int c, const float* entering, const uint32_t* weights, VecF* sums) {
    const vocoder::Layer& packed = job.layer->packed;
    const int wanted = block.rows - packed.segments + 1, parts = (wanted + kMostRows - 1) / kMostRows;
    for (int p = 0; p < Way::kPoints; ++p) {
        const uint32_t* next = weights;
        for (int part = 0, row = 0; part < parts; ++part) {
            const int count = (wanted - row + parts - part - 1) / (parts - part);
            const float* from = entering + (int64_t{p} * packed.groups * block.rows + row) * kLanes;
            next = product_of<Float, vectors>(count)(reinterpret_cast<const uint32_t*>(from), int64_t{block.rows} * kLanes, packed.groups,
                                                     packed.depth[p], weights, sums + (p * block.rows + row) * vectors);
            row += count;
        }
        weights = next;
    }
    for (int i = 0; i < block.count; ++i) leave<Way, vectors>(job, block.runs[i], c, sums, block.rows);
}

template <class Way> void flush(const codec::Job& job, Block& block, float* scratch) {
    const vocoder::Layer& packed = job.layer->packed;
    float* entering = scratch + int64_t{Way::kPoints} * packed.tiles * 2 * kLanes;
    for (int i = 0; i < block.count; ++i) enter<Way>(*job.layer, block.runs[i], entering, block.rows);
    int64_t depths = 0;
    for (int p = 0; p < Way::kPoints; ++p) depths += packed.depth[p];
    for (int index = job.first_panel; index < job.end_panel; ++index) {
        const int c = index * 2 * kLanes;
        const auto multiply = c + 2 * kLanes <= packed.outputs ? &panel<Way, 2> : &panel<Way, 1>;
        multiply(job, block, c, entering, packed.weights + c * depths * packed.groups * kLanes, reinterpret_cast<VecF*>(scratch));
    }
    block.rows = block.count = 0;
}

template <class Way> void convolved(const codec::Job& job, float* scratch) {
    const vocoder::Layer& packed = job.layer->packed;
    const int beyond = packed.segments - 1;
    Block block;
    for (int i = 0; i < job.count; ++i)
        for (int64_t phase = 0; phase < packed.dilation && job.begin + phase < job.end; ++phase) {
            const int64_t steps = (job.end - job.begin - phase + packed.dilation - 1) / packed.dilation;
            int64_t first = job.begin + phase, left = (steps + Way::kOutputs - 1) / Way::kOutputs;
            while (left) {
                const int64_t room = packed.tiles - block.rows - beyond, least_taken = left < kMostRows ? left : kMostRows;
                if (room < least_taken || block.count == kMostRuns) {
                    flush<Way>(job, block, scratch);
                    continue;
                }
                const int taken = static_cast<int>(left < room ? left : room);
                block.runs[block.count++] = {&job.items[i], first, taken, block.rows};
                block.rows += taken + beyond;
                first += int64_t{taken} * Way::kOutputs * packed.dilation;
                left -= taken;
            }
        }
    flush<Way>(job, block, scratch);
}

void convolve(const codec::Job& job, void* scratch) {
    const auto place = static_cast<float*>(scratch);
    job.layer->filtered ? convolved<Filtered>(job, place) : convolved<Direct>(job, place);
}

void finish(const codec::Last& last, const codec::Rows& in, int64_t begin, int64_t end, float* wave) {
    for (int64_t time = begin; time < end; ++time) {
        VecF even = {}, odd = {};
        for (int tap = 0; tap < last.taps; ++tap) {
            const int64_t from = time + tap - (last.taps - 1);
            const float* row = from < 0 ? in.past + (last.taps - 1 + from) * in.stride : in.first + from * in.stride;
            VecF& sum = tap % 2 ? odd : even;
            for (int c = 0; c < last.channels; c += kLanes) sum += load<VecF>(row + c) * load<VecF>(last.weights + tap * last.channels + c);
        }
        const VecF sum = even + odd;
        float total = last.bias;
        for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
        wave[time - begin] = total;
    }
}

}  // namespace

#define STRING(name) #name
#define NAME(name) STRING(name)
extern const codec::Level level;
const codec::Level level = {NAME(LEVEL), kLanes, &convolve, &finish};

}  // namespace LEVEL
