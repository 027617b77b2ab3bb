// A persistent pool: run(n, body) calls body(0) ... body(n - 1) on up to `threads` threads, the caller's included.
// Before it sleeps, a thread that waits, for the next run or for the others to end this one, spins for a quarter of the time that it has just
// worked: to wake it takes up to a tenth of a millisecond. No longer: who spins takes a core from others, and from whoever is measured next.
// Workers keep off the caller's CPU. In a virtual machine Linux takes a CPU that sleeps for one that another guest has taken, and wakes a
// thread on the CPU of its waker, where the two then work one after the other, for milliseconds or as long as both go to sleep between runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

class ThreadPool {
    using Clock = std::chrono::steady_clock;

  public:
    explicit ThreadPool(int threads) {
        for (int i = 1; i < std::max(1, threads); ++i) workers_.emplace_back([this] { work(); });
#if defined(__linux__)
        // Where threads outnumber CPUs, or these cannot be told, the system places them as it likes.
        if (sched_getaffinity(0, sizeof allowed_, &allowed_) || CPU_COUNT(&allowed_) < this->threads()) CPU_ZERO(&allowed_);
#endif
    }
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    ~ThreadPool() {
        {
            std::lock_guard<std::mutex> lock(mutex_);
            stop_.store(true, std::memory_order_release);
        }
        wake_.notify_all();
        for (auto& worker : workers_) worker.join();
    }

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Not reentrant: one run at a time, guarded by the owner's own lock where calls can come from several threads.
    void run(int count, const std::function<void(int)>& body) {
        if (workers_.empty() || count <= 1) {
            for (int i = 0; i < count; ++i) body(i);
            return;
        }
        keep_off_this_cpu();
        {
            std::lock_guard<std::mutex> lock(mutex_);
            body_ = &body;
            count_ = count;
            next_.store(0, std::memory_order_relaxed);
            busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
            error_ = nullptr;
            round_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        const auto worked = drain();
        const auto done = [this] { return busy_.load(std::memory_order_acquire) == 0; };
        if (!spun(worked, done)) {
            std::unique_lock<std::mutex> lock(mutex_);
            done_.wait(lock, done);
        }
        if (error_) std::rethrow_exception(error_);
    }

  private:
    // Takes part in a run; for how long.
    Clock::duration drain() {
        const auto started = Clock::now();
        try {
            for (int i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) (*body_)(i);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            error_ = std::current_exception();
        }
        return Clock::now() - started;
    }

    void work() {
        long seen = 0;
        Clock::duration worked{0};
        for (;;) {
            const auto called = [&] { return stop_.load(std::memory_order_acquire) || round_.load(std::memory_order_acquire) != seen; };
            if (!spun(worked, called)) {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, called);
            }
            if (stop_.load(std::memory_order_acquire)) return;
            seen = round_.load(std::memory_order_acquire);
            worked = drain();
            if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                { const std::lock_guard<std::mutex> lock(mutex_); }  // whoever saw us busy waits by now
                done_.notify_one();
            }
        }
    }

    // Close the caller's CPU to the workers, where it is another one than in the last run.
    void keep_off_this_cpu() {
#if defined(__linux__)
        const int here = sched_getcpu();
        if (here < 0 || here == caller_cpu_ || CPU_COUNT(&allowed_) == 0) return;
        caller_cpu_ = here;
        cpu_set_t others = allowed_;
        CPU_CLR(here, &others);
        for (auto& worker : workers_) pthread_setaffinity_np(worker.native_handle(), sizeof others, &others);
#endif
    }

    // Whether it came true before a quarter of the time worked was over.
    template <class Condition> static bool spun(Clock::duration worked, const Condition& condition) {
        const auto deadline = Clock::now() + std::min<Clock::duration>(worked / 4, kLongestSpin);
        do {
            for (int i = 0; i < 16; ++i) {
                if (condition()) return true;
                relax();
            }
        } while (Clock::now() < deadline);
        return false;
    }

    static void relax() {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
    }

    static constexpr std::chrono::microseconds kLongestSpin{400};

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_, done_;
    const std::function<void(int)>* body_ = nullptr;
    std::atomic<int> next_{0}, busy_{0};
    std::atomic<long> round_{0};
    std::atomic<bool> stop_{false};
    int count_ = 0;
    std::exception_ptr error_;
#if defined(__linux__)
    cpu_set_t allowed_;  // of the thread that made the pool
    int caller_cpu_ = -1;
#endif
};
