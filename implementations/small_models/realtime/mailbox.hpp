// A lock-free mailbox between one thread that writes and one that reads, where the latest letter wins. Three letters change hands: one
// is being written, one is being read, one lies between them; neither side ever waits for the other or sees half a letter.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace small_models {

template <class Letter> class Mailbox {
  public:
    // The writer: the letter to fill in, then post. What was posted before and not taken is lost.
    Letter& back() { return letters_[back_]; }
    void post() { back_ = middle_.exchange(static_cast<uint8_t>(back_ | FRESH), std::memory_order_acq_rel) & INDEX; }

    // The reader: take the latest letter, true where there is a new one; front() stays as it is until the next take().
    bool take() {
        if (!(middle_.load(std::memory_order_relaxed) & FRESH)) return false;
        front_ = middle_.exchange(front_, std::memory_order_acq_rel) & INDEX;
        return true;
    }
    const Letter& front() const { return letters_[front_]; }

  private:
    static constexpr uint8_t INDEX = 3, FRESH = 4;

    std::array<Letter, 3> letters_{};
    alignas(64) uint8_t back_ = 0;
    alignas(64) std::atomic<uint8_t> middle_{1};
    alignas(64) uint8_t front_ = 2;
};

}  // namespace small_models
