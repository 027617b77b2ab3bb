// The pool: each part of each run once, whether its threads look for work or sleep; errors reach the caller; it ends in either state;
// workers keep off the caller's CPU, wherever that moves.
#include "threads.hpp"

#include <cstdio>
#include <stdexcept>

#include "check.hpp"

namespace {

void nap(int microseconds) { std::this_thread::sleep_for(std::chrono::microseconds(microseconds)); }

// Runs of 0 to 40 parts with pauses between them, shorter and longer than threads look for work.
void every_part_once(int threads) {
    ThreadPool pool(threads);
    check::Random random(threads);
    int wrong = 0;
    for (int run = 0; run < 3000; ++run) {
        const int count = static_cast<int>(random.bits() % 41);
        std::vector<int> taken(count);  // by one thread each: no two may take the same
        const bool slow = run % 50 == 0;
        pool.run(count, [&](int i) {
            ++taken[i];
            if (slow) nap(20);
        });
        for (int times : taken) wrong += times != 1;
        if (run % 100 == 1) nap(1000);
        if (run % 100 == 51) nap(30);
    }
    check::that(wrong == 0, std::to_string(threads) + " threads: " + std::to_string(wrong) + " parts were not taken once");
}

void errors_reach_the_caller(int threads) {
    ThreadPool pool(threads);
    int caught = 0, after = 0;
    for (int run = 0; run < 200; ++run) {
        try {
            pool.run(8, [&](int i) {
                if (i == run % 8) throw std::runtime_error("part");
            });
        } catch (const std::runtime_error&) {
            ++caught;
        }
        std::atomic<int> done{0};
        pool.run(8, [&](int) { ++done; });
        after += done == 8;
    }
    check::that(caught == 200 && after == 200, std::to_string(threads) + " threads: expected 200 errors and 200 runs after them, found " +
                                                   std::to_string(caught) + " and " + std::to_string(after));
}

void ends(int threads) {
    for (int i = 0; i < 200; ++i) {
        ThreadPool pool(threads);
        std::atomic<int> done{0};
        if (i % 2) pool.run(threads, [&](int) { ++done, nap(i % 4 ? 100 : 0); });
        check::that(done == (i % 2 ? threads : 0), "a pool that ends at once: parts were left");
    }
}

#if defined(__linux__)
// The caller goes from CPU to CPU; after naps workers sleep, else they look for work, when the next run wakes or meets them.
void keeps_off_the_callers_cpu() {
    cpu_set_t allowed;
    check::that(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "the CPUs of this thread cannot be told");
    if (CPU_COUNT(&allowed) < 2) {
        std::printf("threads: one CPU, nothing to keep off\n");
        return;
    }
    ThreadPool pool(std::min(CPU_COUNT(&allowed), 3));
    const auto caller = std::this_thread::get_id();
    std::atomic<int> on_it{0}, elsewhere{0};
    for (int run = 0; run < 300; ++run) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(cpu, &allowed)) continue;
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            check::that(sched_setaffinity(0, sizeof one, &one) == 0, "this thread cannot be bound");
            pool.run(4, [&](int) {
                if (std::this_thread::get_id() != caller) ++(sched_getcpu() == cpu ? on_it : elsewhere);
                nap(20);
            });
            if (run % 3 == 0) nap(500);
        }
    }
    sched_setaffinity(0, sizeof allowed, &allowed);
    check::that(on_it == 0 && elsewhere > 0, "workers on the caller's CPU: expected 0 parts, found " + std::to_string(on_it) + " (elsewhere " +
                                                 std::to_string(elsewhere) + ")");
}
#endif

}  // namespace

int main() {
    for (int threads : {1, 2, 3, 8}) {
        every_part_once(threads);
        errors_reach_the_caller(threads);
        ends(threads);
    }
#if defined(__linux__)
    keeps_off_the_callers_cpu();
#endif
    return check::done("threads");
}
