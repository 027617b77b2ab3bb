#include "engine.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace vocoder {

namespace {

constexpr int64_t kTileFloats = 128 << 10;  // of one buffer of a tile: three of them, and what enters a convolution, fit a cache of 2 MB
constexpr float kLastSlope = 0.01f;         // upstream leaves it out there, which is PyTorch's default

int64_t floor_divided(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

Rows part(Rows rows, int64_t begin, int64_t end) {
    rows.begin = std::max(rows.begin, begin);
    rows.end = std::min(rows.end, end);
    return rows;
}

}  // namespace

int64_t Generator::hop() const {
    int64_t product = 1;
    for (const Stage& stage : stages) product *= stage.rate;
    return product;
}

// Tasks 0 ... tasks - 1, each with the arena of the thread that runs it.
void Vocoder::share(int64_t tasks, const std::function<void(int64_t, Arena&)>& body) {
    std::atomic<int64_t> next{0};
    pool_->run(pool_->threads(), [&](int thread) {
        for (int64_t i = next.fetch_add(1); i < tasks; i = next.fetch_add(1)) body(i, arenas_[static_cast<size_t>(thread)]);
    });
}

void Vocoder::convolve(const Packed& packed, const Rows& in, const Rows& out, const Rows& residual, const Rows& total, Arena& arena) const {
    void* scratch = arena.scratch.of(scratch_bytes(packed.layer, generator_.level->lanes));
    generator_.level->convolve({&packed.layer, in, out, residual, total, out.begin, out.end}, scratch);
}

void Vocoder::run(const float* mel, int64_t frames, float* wave, int threads) {
    const std::lock_guard<std::mutex> lock(turn_);
    if (owner_ != getpid()) {
        pool_.release();  // of the parent's threads nothing is left to join
        owner_ = getpid();
    }
    if (!pool_ || pool_->threads() != threads) pool_ = std::make_unique<ThreadPool>(threads);
    arenas_.resize(static_cast<size_t>(threads));

    const Layer& first = generator_.first.layer;
    float* entering = mel_.of(frames * first.inputs);
    std::memset(entering, 0, static_cast<size_t>(frames * first.inputs) * sizeof(float));
    for (int64_t i = 0; i < frames; ++i) std::memcpy(entering + i * first.inputs, mel + i * generator_.mels, generator_.mels * sizeof(float));
    const Rows mels{entering, 0, 0, frames, first.inputs};
    Rows now{rows_[0].of(frames * first.outputs), 0, 0, frames, first.outputs};
    const int64_t parts = std::min<int64_t>(frames, 4);
    share(parts, [&](int64_t i, Arena& arena) {
        convolve(generator_.first, mels, part(now, frames * i / parts, frames * (i + 1) / parts), {}, {}, arena);
    });
    for (size_t i = 0; i < generator_.stages.size(); ++i) {
        const Stage& stage = generator_.stages[i];
        const bool last = i + 1 == generator_.stages.size();
        const int64_t steps = now.end * stage.rate;
        const Rows next{last ? nullptr : rows_[(i + 1) % 2].of(steps * stage.channels), 0, 0, steps, stage.channels};
        this->stage(stage, now, next, last ? wave : nullptr);
        now = next;
    }
}

void Vocoder::release() {
    const std::lock_guard<std::mutex> lock(turn_);
    arenas_.clear();
    mel_ = {};
    for (auto& rows : rows_) rows = {};
}

// All tiles of a stage; those of the last one to the wave.
void Vocoder::stage(const Stage& stage, const Rows& in, const Rows& out, float* wave) {
    const int64_t longest = std::max<int64_t>(kTileFloats / stage.channels, 2 * stage.reach);
    // An even number, so that two threads finish together; not one that depends on the threads, so that the result does not.
    const int64_t tiles = std::min(((out.end + longest - 1) / longest + 1) / 2 * 2, out.end);
    const int64_t around = (generator_.last_taps - 1) / 2;
    const Last last{stage.channels, generator_.last_taps, kLastSlope, generator_.last_bias, generator_.last_weights.get()};
    share(tiles, [&](int64_t i, Arena& arena) {
        const int64_t begin = out.end * i / tiles, end = out.end * (i + 1) / tiles;
        if (!wave) return tile(stage, in, out, begin, end, arena);
        Rows total = part(out, begin - around, end + around);
        total.origin = total.begin;
        total.first = arena.total.of((total.end - total.begin) * stage.channels);
        tile(stage, in, total, total.begin, total.end, arena);
        generator_.level->finish(last, total, begin, end, wave + begin);
    });
}

// Steps [begin, end) of a stage, through all its blocks. Each convolution computes what those after it look at, and no more.
void Vocoder::tile(const Stage& stage, const Rows& in, const Rows& out, int64_t begin, int64_t end, Arena& arena) const {
    const int64_t whole = in.end * stage.rate, origin = floor_divided(begin - stage.reach, stage.rate) * stage.rate;
    const int64_t length = (end + stage.reach + stage.rate - origin) * stage.channels;
    const auto buffer = [&](Room<float>& room, int64_t reach) {
        return part({room.of(length), origin, 0, whole, stage.channels}, begin - reach, end + reach);
    };
    const Rows entered = buffer(arena.entered, stage.reach), none{};
    // A row of the upsampling is `rate` steps: the same memory, seen with longer rows.
    const Rows coarse{entered.first, origin / stage.rate, entered.begin / stage.rate, (entered.end + stage.rate - 1) / stage.rate,
                      int64_t{stage.rate} * stage.channels};
    convolve(stage.up, in, coarse, none, none, arena);

    for (size_t b = 0; b < stage.blocks.size(); ++b) {
        const ResidualBlock& block = stage.blocks[b];
        const Rows sum = part(out, begin, end);
        Rows now = entered, between = entered;
        int64_t reach = block.reach;
        for (size_t i = 0; i < block.layers.size(); ++i) {
            const Layer& layer = block.layers[i].layer;
            reach -= int64_t{layer.taps - 1} / 2 * layer.dilation;
            if (generator_.pairs && i % 2 == 0) {
                between = buffer(arena.between, reach);
                convolve(block.layers[i], now, between, none, none, arena);
                continue;
            }
            // In place where the convolution reads another buffer; single convolutions take turns between two.
            const bool final = i + 1 == block.layers.size(), turn = !generator_.pairs && i % 2 == 1;
            const Rows to = final ? sum : buffer(turn ? arena.between : arena.current, reach);
            convolve(block.layers[i], generator_.pairs ? between : now, to, now, final && b > 0 ? sum : none, arena);
            now = to;
        }
    }
}

}  // namespace vocoder
