// The threads that all calls of a module share.
#pragma once

#include <unistd.h>

#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>

#include "threads.hpp"

// Calls body(0) ... body(count - 1) on so many threads. One pool for the module, remade when a call asks for another number of threads; calls
// take turns. It is never destroyed: a process that ends has no use for joining sleeping threads, and a forked child, which has none of
// them, could not.
inline void in_threads(int threads, int count, const std::function<void(int)>& body) {
    if (threads < 1) throw std::invalid_argument("threads: expected 1 or more, found " + std::to_string(threads));
    static std::mutex turn;
    static ThreadPool* pool = nullptr;
    static pid_t owner = 0;
    const std::lock_guard<std::mutex> lock(turn);
    if (owner != getpid()) {
        pool = nullptr;
        owner = getpid();
    }
    if (!pool || pool->threads() != threads) {
        delete pool;
        pool = nullptr;
        pool = new ThreadPool(threads);
    }
    pool->run(count, body);
}
