// Callbacks that do one forbidden thing each, and say how often: every detector must see its own, in every session.
#pragma once

#include "audio_thread.hpp"

#include <atomic>
#include <limits>
#include <memory>
#include <mutex>
#include <stdlib.h>
#include <unistd.h>
#include <vector>

namespace realtime {

class Control {
  public:
    // kind: what it does wrong; "nothing" does nothing, not even copy: the empty callback. frames, rate: of the blocks to come.
    Control(const std::string& kind, uint32_t frames, double rate)
        : kind_(find(kind)), period_ns_(std::llround(frames * 1e9 / rate)), delay_(kind == "latency" ? 100 : 0, 0.0f) {
        result_.payload = payload_;
        result_.values = VALUES;
        if (kind_ == FAULTS) {
            pages_ = mmap(nullptr, PAGES * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (pages_ == MAP_FAILED) throw std::runtime_error("mmap: no memory for the page-fault control");
            madvise(pages_, PAGES * page(), MADV_NOHUGEPAGE);
        }
        if (kind_ == PREEMPTED) rival_ = std::thread([this] { compete(); });
    }
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    ~Control() {
        stop_ = true;
        if (rival_.joinable()) rival_.join();
        if (pages_) munmap(pages_, PAGES * page());
    }

    // How often it did what it is for.
    int64_t deliberate() const { return done_; }
    bool has_results() const { return kind_ >= TORN; }

    static void call(void* self, const float* input, float* output, uint32_t frames) {
        static_cast<Control*>(self)->run(input, output, frames);
    }
    static const harness_result* results(void* self) { return &static_cast<Control*>(self)->result_; }

    static const std::vector<std::string>& kinds() {
        static const std::vector<std::string> names = {"nothing", "misses", "voluntary", "involuntary", "faults", "allocations", "locks",
                                                       "latency", "torn",   "unfinite",  "gaps",        "dropped", "age", "flagged"};
        return names;
    }

  private:
    enum Kind { NOTHING, MISSES, BLOCKS, PREEMPTED, FAULTS, ALLOCATES, LOCKS, LATENCY, TORN, UNFINITE, GAPS, DROPS, OLD, FLAGGED };
    static constexpr uint32_t VALUES = 16;
    static constexpr size_t PAGES = 4096;

    static Kind find(const std::string& kind) {
        for (size_t i = 0; i < kinds().size(); ++i)
            if (kinds()[i] == kind) return static_cast<Kind>(i);
        throw std::invalid_argument("control: no control is named '" + kind + "'");
    }

    static size_t page() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

    static void spin_ns(int64_t duration) {
        for (const int64_t end = now_ns() + duration; now_ns() < end;) {}
    }

    // A thread of higher priority on the same processor, busy for a moment every half millisecond.
    void compete() {
        prctl(PR_SET_TIMERSLACK, 1UL);
        ask_for_priority(PRIORITY + 1);
        pin(first_cpu());
        while (!stop_) {
            sleep_until_ns(now_ns() + 500'000);
            spin_ns(50'000);
        }
    }

    void run(const float* input, float* output, uint32_t frames) {
        ++calls_;
        if (kind_ == NOTHING) return;
        if (kind_ == LATENCY) delay(input, output, frames);
        if (has_results()) {
            publish();
            return;
        }
        switch (kind_) {
            case MISSES:
                if (calls_ % 10 == 0) spin_ns(2 * period_ns_), ++done_;
                break;
            case BLOCKS: sleep_until_ns(now_ns() + 20'000), ++done_; break;
            case PREEMPTED: spin_ns(1'000'000), ++done_; break;
            case FAULTS: static_cast<volatile char*>(pages_)[calls_ % PAGES * page()] = 1, ++done_; break;
            case ALLOCATES: ::free(escape(::malloc(64))), done_ += 2; break;
            case LOCKS: {
                const std::lock_guard<std::mutex> guard(mutex_);
                ++done_;
                break;
            }
            default: break;
        }
    }

    // So that the compiler cannot leave out an allocation that nobody looks at.
    static void* escape(void* memory) {
        asm volatile("" : "+r"(memory) : : "memory");
        return memory;
    }

    void delay(const float* input, float* output, uint32_t frames) {
        for (uint32_t i = 0; i < frames; ++i) {
            output[i] = delay_[position_];
            delay_[position_] = input[i];
            position_ = (position_ + 1) % delay_.size();
        }
        done_ = static_cast<int64_t>(delay_.size());
    }

    void publish() {
        const bool wrong = calls_ % 10 == 0;
        done_ += wrong;
        result_.sequence = result_.sequence + 1 + (kind_ == GAPS && wrong ? 3 : 0);
        result_.born_ns = now_ns() - (kind_ == OLD && wrong ? 500'000'000 : 0);
        result_.flags = kind_ == FLAGGED && wrong ? 1 : 0;
        result_.dropped += kind_ == DROPS && wrong;
        for (float& value : payload_) value = static_cast<float>(calls_);
        if (kind_ == UNFINITE && wrong) payload_[VALUES / 2] = std::numeric_limits<float>::quiet_NaN();
        result_.checksum = harness_checksum(result_.sequence, payload_, VALUES);
        if (kind_ == TORN && wrong) payload_[VALUES - 1] -= 1.0f;  // the last value is still that of the result before
    }

    const Kind kind_;
    const int64_t period_ns_;
    int64_t calls_ = 0, done_ = 0;
    std::mutex mutex_;
    std::vector<float> delay_;
    size_t position_ = 0;
    void* pages_ = nullptr;
    std::thread rival_;
    std::atomic<bool> stop_{false};
    float payload_[VALUES] = {};
    harness_result result_{};
};

}  // namespace realtime
