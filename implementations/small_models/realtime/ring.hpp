// A lock-free ring between one thread that writes and one that reads. Both work in place: nothing is copied, nothing allocated.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

namespace small_models {

template <class Item, size_t Capacity> class Ring {
    static_assert((Capacity & (Capacity - 1)) == 0, "a power of two, so that counters may wrap");

  public:
    // The writer: the next free item, the same one until commit(); null while the ring is full.
    Item* writable() {
        const size_t written = written_.load(std::memory_order_relaxed);
        if (written - read_.load(std::memory_order_acquire) == Capacity) return nullptr;
        return &items_[written % Capacity];
    }
    void commit() { written_.store(written_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

    // The reader: the oldest item, the same one until release(); null while the ring is empty.
    const Item* readable() const {
        const size_t read = read_.load(std::memory_order_relaxed);
        if (written_.load(std::memory_order_acquire) == read) return nullptr;
        return &items_[read % Capacity];
    }
    void release() { read_.store(read_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  private:
    // Each counter on a cache line of its own: a thread that only counts its own items does not slow the other.
    alignas(64) std::atomic<size_t> written_{0};
    alignas(64) std::atomic<size_t> read_{0};
    alignas(64) std::array<Item, Capacity> items_{};
};

}  // namespace small_models
