// Stress for ThreadSanitizer: `sanitized ring | mailbox | slot`. The last is the hand-off that must be flagged: one slot, and a flag
// that both sides set without asking the other.
#include "mailbox.hpp"
#include "ring.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <thread>

namespace {

constexpr uint64_t COUNT = 200'000;

struct Letter {
    uint64_t sequence = 0;
    std::array<uint64_t, 64> payload{};

    void fill(uint64_t number) {
        sequence = number;
        payload.fill(number);
    }
    bool torn() const {
        for (uint64_t value : payload)
            if (value != sequence) return true;
        return false;
    }
};

uint64_t torn = 0, disorder = 0, seen = 0;

void look(const Letter& letter, uint64_t& last) {
    torn += letter.torn();
    disorder += letter.sequence <= last;
    last = letter.sequence;
    ++seen;
}

void ring() {
    static small_models::Ring<Letter, 8> ring;
    std::thread writer([] {
        for (uint64_t number = 1; number <= COUNT;)
            if (Letter* letter = ring.writable()) letter->fill(number++), ring.commit();
            else std::this_thread::yield();
    });
    for (uint64_t last = 0; last < COUNT;)
        if (const Letter* letter = ring.readable()) {
            disorder += letter->sequence != last + 1;
            look(*letter, last);
            ring.release();
        } else {
            std::this_thread::yield();
        }
    writer.join();
}

void mailbox() {
    static small_models::Mailbox<Letter> mailbox;
    std::thread writer([] {
        for (uint64_t number = 1; number <= COUNT; ++number) {
            mailbox.back().fill(number);
            mailbox.post();
            if (number % 64 == 0) std::this_thread::yield();
        }
    });
    for (uint64_t last = 0; last < COUNT;)
        if (mailbox.take()) look(mailbox.front(), last);
        else std::this_thread::yield();
    writer.join();
}

void slot() {
    static Letter slot;
    static volatile bool fresh = false;
    std::thread writer([] {
        for (uint64_t number = 1; number <= COUNT; ++number) {
            slot.fill(number);
            fresh = true;
        }
    });
    for (uint64_t turn = 0, last = 0; turn < COUNT; ++turn)
        if (fresh) {
            fresh = false;
            torn += slot.torn();
            last = slot.sequence;
            ++seen;
        }
    writer.join();
}

}  // namespace

int main(int count, char** arguments) {
    const char* what = count > 1 ? arguments[1] : "";
    if (!std::strcmp(what, "ring")) ring();
    else if (!std::strcmp(what, "mailbox")) mailbox();
    else if (!std::strcmp(what, "slot")) slot();
    else return 2;
    std::printf("seen %llu, torn %llu, disorder %llu\n", static_cast<unsigned long long>(seen), static_cast<unsigned long long>(torn),
                static_cast<unsigned long long>(disorder));
    return torn || disorder ? 1 : 0;
}
