// The models beside an audio thread. The callback delays the audio, hands each hop of it to the inference thread through a ring, and
// takes the latest result from a mailbox; it never allocates, locks, waits or calls the system but for the time.
//
// Whatever keeps a result from being computed becomes a stated neutral value and a flag, never silence: no result yet, too old, engine
// stopped, step failed, values that are not finite, model switched off (or one that feeds it).
#pragma once

#include "callback.h"
#include "features.hpp"
#include "mailbox.hpp"
#include "ring.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <time.h>
#include <vector>

namespace small_models {

inline constexpr size_t MODELS = 5, OUTPUTS = 304, WINDOW_HOPS = 5, MOST_HOP = 1920;
inline constexpr double HOP_SECONDS = 0.01, LOOKAHEAD_SECONDS = 0.02;

// What a model's outputs are replaced by, and which models it needs: bits by model, its own included.
struct Slot {
    size_t first, count;
    float neutral;
    uint32_t needs;
};

// One step of all models: 0, or why this step has no outputs; below 0 the engine cannot go on. As sm_step of the engine.
using Step = int (*)(void* engine, const float* features, size_t feature_count, float* outputs, size_t output_count);
using Enable = int (*)(void* engine, size_t model, int enabled);

struct Engine {
    Step step;
    void* state;
    Enable enable;  // null: it always computes all models
};

// Bits of a result's flags; from FIRST_MODEL on one for each model whose values are neutral.
inline constexpr uint32_t NO_RESULT = 1, TOO_OLD = 2, STOPPED = 4, FAILED = 8, NOT_FINITE = 16, SWITCHED_OFF = 32, FIRST_MODEL = 64;

class Pipeline {
  public:
    Pipeline(double rate, const Engine& engine, const std::vector<Slot>& slots)
        : hop_(static_cast<size_t>(std::lround(rate * HOP_SECONDS))), delay_(static_cast<size_t>(std::lround(rate * LOOKAHEAD_SECONDS))),
          engine_(engine), slots_(slots), window_(hop_ * WINDOW_HOPS), features_(window_.size(), rate) {
        if (hop_ < 1 || hop_ > MOST_HOP) throw std::invalid_argument("rate: expected 100 to 192000 Hz, found " + std::to_string(rate));
        if (slots_.size() != MODELS) throw std::invalid_argument("slots: expected 5 models, found " + std::to_string(slots_.size()));
        for (const Slot& slot : slots_) {
            if (slot.first + slot.count > OUTPUTS) throw std::invalid_argument("slots: expected 304 outputs in all");
            for (size_t i = 0; i < slot.count; ++i) neutral_[slot.first + i] = slot.neutral;
        }
        choose(0);
        inference_ = std::thread([this] { infer(); });
    }
    Pipeline(const Pipeline&) = delete;
    Pipeline& operator=(const Pipeline&) = delete;

    ~Pipeline() { close(); }

    // Ends the inference thread; the callback goes on with fallbacks.
    void close() {
        stop_.store(true, std::memory_order_relaxed);
        if (inference_.joinable()) inference_.join();
    }

    uint32_t latency() const { return static_cast<uint32_t>(delay_.size()); }
    uint64_t inferences() const { return inferences_.load(std::memory_order_acquire); }

    // Bits by model; from any thread. Takes effect with the next step, and shows in the flags of its result.
    void enable(uint32_t models) { enabled_.store(models, std::memory_order_relaxed); }

    static void call(void* self, const float* input, float* output, uint32_t frames) { static_cast<Pipeline*>(self)->block(input, output, frames); }
    static const harness_result* results(void* self) { return &static_cast<Pipeline*>(self)->used_; }

  private:
    struct Hop {
        uint64_t sequence;
        int64_t born_ns;
        float audio[MOST_HOP];
    };
    struct Result {
        harness_result head;
        float values[OUTPUTS];
    };

    static constexpr uint32_t ALL = (1u << MODELS) - 1;

    // A result counts while the audio that it was computed from, or the hop after it, is leaving.
    static constexpr int64_t OLDEST_NS = static_cast<int64_t>((LOOKAHEAD_SECONDS + HOP_SECONDS) * 1e9);

    static constexpr int64_t POLL_NS = 500'000;  // the callback wakes nobody: that would be a call of the system

    static int64_t now_ns() {
        timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }

    // The audio thread.

    void block(const float* input, float* output, uint32_t frames) {
        const int64_t now = now_ns();
        collect(input, frames, now);  // first: input and output may be one buffer
        for (uint32_t i = 0; i < frames; ++i) {
            const float sample = input[i];
            output[i] = delay_[place_];
            delay_[place_] = sample;
            if (++place_ == delay_.size()) place_ = 0;
        }
        mailbox_.take();
        choose(now);
    }

    void collect(const float* input, uint32_t frames, int64_t now) {
        for (size_t i = 0; i < frames;) {
            if (filled_ == 0) open_ = hops_.writable();  // null: the inference thread is far behind, and this hop is dropped
            const size_t part = std::min(hop_ - filled_, frames - i);
            if (open_) std::memcpy(open_->audio + filled_, input + i, part * sizeof(float));
            i += part;
            filled_ += part;
            if (filled_ < hop_) continue;
            filled_ = 0;
            ++sequence_;
            if (open_) {
                open_->sequence = sequence_;
                open_->born_ns = now;
                hops_.commit();
            } else {
                ++dropped_;
            }
        }
    }

    void choose(int64_t now) {
        const harness_result& latest = mailbox_.front().head;
        const uint32_t why = stopped_.load(std::memory_order_acquire) ? STOPPED
                             : latest.sequence == 0                  ? NO_RESULT
                             : now - latest.born_ns > OLDEST_NS      ? TOO_OLD
                                                                     : 0u;
        used_ = latest;
        used_.dropped = dropped_;
        used_.values = OUTPUTS;
        if (!why) return;
        used_.payload = neutral_;
        used_.flags = why | ALL * FIRST_MODEL;
        used_.checksum = harness_checksum(used_.sequence, neutral_, OUTPUTS);
    }

    // The inference thread.

    void infer() {
        try {
            while (!stop_.load(std::memory_order_relaxed)) {
                const harness_result newest = absorb();
                if (newest.sequence == 0) {
                    const timespec pause{0, POLL_NS};
                    nanosleep(&pause, nullptr);
                    continue;
                }
                if (!step(newest)) break;
            }
        } catch (...) {
            // Nobody else can tell of it: the flag does.
        }
        stopped_.store(true, std::memory_order_release);
    }

    // Takes all hops there are into the window: after a slow step the next one is of the newest audio. sequence 0: there was none.
    harness_result absorb() {
        harness_result newest{};
        while (const Hop* hop = hops_.readable()) {
            // A hop that was dropped is silence: the window goes on with the time.
            const size_t hops = std::min<size_t>(WINDOW_HOPS, static_cast<size_t>(hop->sequence - absorbed_));
            std::memmove(window_.data(), window_.data() + hops * hop_, (WINDOW_HOPS - hops) * hop_ * sizeof(float));
            std::fill(window_.end() - static_cast<ptrdiff_t>(hops * hop_), window_.end(), 0.0f);
            std::copy(hop->audio, hop->audio + hop_, window_.end() - static_cast<ptrdiff_t>(hop_));
            newest.sequence = absorbed_ = hop->sequence;
            newest.born_ns = hop->born_ns;
            hops_.release();
        }
        return newest;
    }

    bool step(const harness_result& newest) {
        const uint32_t enabled = enabled_.load(std::memory_order_relaxed);
        if (engine_.enable && enabled != applied_)
            for (size_t m = 0; m < MODELS; ++m) engine_.enable(engine_.state, m, (enabled >> m) & 1);
        applied_ = enabled;
        float features[Features::BANDS];
        features_(window_.data(), features);
        Result& result = mailbox_.back();
        const int status = engine_.step(engine_.state, features, Features::BANDS, result.values, OUTPUTS);
        if (status < 0) return false;
        uint32_t unfit = 0;
        for (size_t m = 0; m < MODELS; ++m) unfit |= uint32_t{!finite(result.values, slots_[m])} << m;
        uint32_t flags = status ? FAILED : 0u;
        for (size_t m = 0; m < MODELS; ++m) {
            const uint32_t off = slots_[m].needs & ~enabled, bad = slots_[m].needs & unfit & enabled;
            if (!status && !off && !bad) continue;
            flags |= (off ? SWITCHED_OFF : 0u) | (bad && !status ? NOT_FINITE : 0u) | FIRST_MODEL << m;
            std::fill_n(result.values + slots_[m].first, slots_[m].count, slots_[m].neutral);
        }
        result.head = {newest.sequence, newest.born_ns, 0, harness_checksum(newest.sequence, result.values, OUTPUTS), result.values, OUTPUTS, flags};
        mailbox_.post();
        inferences_.fetch_add(1, std::memory_order_release);
        return true;
    }

    static bool finite(const float* values, const Slot& slot) {
        bool all = true;
        for (size_t i = 0; i < slot.count; ++i) all &= std::isfinite(values[slot.first + i]);
        return all;
    }

    const size_t hop_;
    std::vector<float> delay_;
    const Engine engine_;
    const std::vector<Slot> slots_;
    float neutral_[OUTPUTS] = {};

    // Of the audio thread.
    size_t place_ = 0, filled_ = 0;
    uint64_t sequence_ = 0, dropped_ = 0;
    Hop* open_ = nullptr;
    harness_result used_{};

    // Between the two.
    Ring<Hop, 16> hops_;
    Mailbox<Result> mailbox_;
    std::atomic<uint32_t> enabled_{ALL};
    std::atomic<uint64_t> inferences_{0};
    std::atomic<bool> stopped_{false}, stop_{false};

    // Of the inference thread.
    std::vector<float> window_;
    Features features_;
    uint64_t absorbed_ = 0;
    uint32_t applied_ = ALL;
    std::thread inference_;
};

}  // namespace small_models
