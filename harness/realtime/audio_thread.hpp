// The audio thread: wakes at absolute times, calls the callback, and notes for each call what it took and what it did.
#pragma once

#include "callback.h"
#include "watch.h"

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <dlfcn.h>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <thread>
#include <time.h>

namespace realtime {

inline constexpr int PRIORITY = 80;  // below what the kernel's own threads use, above all that is not real time

inline int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

inline void sleep_until_ns(int64_t at) {
    const timespec t{static_cast<time_t>(at / 1'000'000'000), static_cast<long>(at % 1'000'000'000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr) == EINTR) {}
}

// One column per figure, one row per callback; the memory is the caller's and is touched before the thread starts.
struct Rows {
    int64_t *wake_ns, *run_ns, *late_ns;  // late of its wake-up; duration; end after (positive: missed) or before its deadline
    int32_t *voluntary, *involuntary, *faults, *allocations, *locks;
    int64_t *sequence, *age_ns, *dropped;  // of the result in force after the callback
    int32_t *flags, *torn, *unfinite;
};

struct Job {
    harness_callback callback;
    harness_results results;  // null: the callback has none
    void* state;
    uint32_t frames;
    double rate;
    const float* input;  // repeated as often as needed
    size_t input_frames;
    float* output;  // the first frames of what the callback gave
    size_t output_frames;
    size_t callbacks;
    int cpu = -1;  // pin the thread to one processor; -1: leave it to the system
};

struct Granted {
    bool realtime = false, watched = false;
    std::string why;  // why not real time
};

namespace detail {

inline void look(const Job& job, const Rows& rows, size_t i) {
    const harness_result* found = job.results ? job.results(job.state) : nullptr;
    if (!found) return;
    rows.sequence[i] = static_cast<int64_t>(found->sequence);
    rows.age_ns[i] = found->sequence ? now_ns() - found->born_ns : -1;
    rows.dropped[i] = static_cast<int64_t>(found->dropped);
    rows.flags[i] = static_cast<int32_t>(found->flags);
    rows.torn[i] = harness_checksum(found->sequence, found->payload, found->values) != found->checksum;
    for (uint32_t v = 0; v < found->values; ++v) rows.unfinite[i] |= !std::isfinite(found->payload[v]);
}

inline void loop(const Job& job, const Rows& rows, harness_watch* watch) {
    float in[1 << 13], out[1 << 13];  // on the stack: as hot as a driver's own buffers
    std::memset(in, 0, sizeof in);
    std::memset(out, 0, sizeof out);
    const auto after = [&](size_t periods) { return std::llround(static_cast<double>(periods) * job.frames * 1e9 / job.rate); };
    const int64_t start = now_ns() + 2'000'000;
    size_t read = 0, written = 0;
    rusage before{}, then{};
    for (size_t i = 0; i < job.callbacks; ++i) {
        for (uint32_t k = 0; k < job.frames; ++k) {
            in[k] = job.input[read];
            if (++read == job.input_frames) read = 0;
        }
        const int64_t wake = start + after(i), deadline = start + after(i + 1);
        sleep_until_ns(wake);
        const int64_t woken = now_ns();
        getrusage(RUSAGE_THREAD, &before);
        if (watch) *watch = {1, 0, 0};
        const int64_t begin = now_ns();
        job.callback(job.state, in, out, job.frames);
        const int64_t end = now_ns();
        if (watch) watch->armed = 0;
        getrusage(RUSAGE_THREAD, &then);
        rows.wake_ns[i] = woken - wake;
        rows.run_ns[i] = end - begin;
        rows.late_ns[i] = end - deadline;
        rows.voluntary[i] = static_cast<int32_t>(then.ru_nvcsw - before.ru_nvcsw);
        rows.involuntary[i] = static_cast<int32_t>(then.ru_nivcsw - before.ru_nivcsw);
        rows.faults[i] = static_cast<int32_t>(then.ru_minflt - before.ru_minflt + then.ru_majflt - before.ru_majflt);
        rows.allocations[i] = watch ? static_cast<int32_t>(watch->allocations) : 0;
        rows.locks[i] = watch ? static_cast<int32_t>(watch->locks) : 0;
        look(job, rows, i);
        for (uint32_t k = 0; k < job.frames && written < job.output_frames; ++k) job.output[written++] = out[k];
    }
}

}  // namespace detail

inline harness_watch* watch_of_this_thread() {
    const auto find = reinterpret_cast<harness_watch_of_thread>(dlsym(RTLD_DEFAULT, "harness_watch_thread"));
    return find ? find() : nullptr;
}

// Ask for real-time scheduling of this thread; the error where it is not allowed.
inline std::string ask_for_priority(int priority) {
    sched_param wanted{};
    wanted.sched_priority = priority;
    const int error = pthread_setschedparam(pthread_self(), SCHED_FIFO, &wanted);
    return error ? std::string("SCHED_FIFO: ") + std::strerror(error) : "";
}

inline void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(cpu), &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// The lowest numbered processor that this process may use.
inline int first_cpu() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    int cpu = 0;
    while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(static_cast<size_t>(cpu), &set)) ++cpu;
    return cpu;
}

// Keep what is in memory there, and what will come; pages still arrive when they are first touched.
inline std::string lock_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) return "";
    return std::string("mlockall: ") + std::strerror(errno);
}

inline Granted play(const Job& job, const Rows& rows) {
    if (job.frames < 1 || job.frames > (1 << 13)) throw std::invalid_argument("frames: expected 1 to 8192, found " + std::to_string(job.frames));
    Granted granted;
    std::thread([&] {
        prctl(PR_SET_TIMERSLACK, 1UL);
        granted.why = ask_for_priority(PRIORITY);
        granted.realtime = granted.why.empty();
        if (job.cpu >= 0) pin(job.cpu);
        harness_watch* watch = watch_of_this_thread();
        granted.watched = watch != nullptr;
        detail::loop(job, rows, watch);
    }).join();
    return granted;
}

}  // namespace realtime
