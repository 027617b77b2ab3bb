// Compiled once per dispatch level: the vectors are as wide as that level has them.
#include "kernel.hpp"
#include "width.hpp"

namespace limits::LEVEL {
namespace {

constexpr size_t LANES = LEVEL_BYTES / 8;

// A register of this level; loads need no alignment.
typedef uint64_t Vector __attribute__((vector_size(8 * LANES), aligned(8), may_alias));

uint64_t read_all(const uint64_t* data, size_t count, size_t passes) {
    // Independent sums, eight registers of them, keep enough loads in flight for two a cycle.
    constexpr size_t REGISTERS = 8, LOADS = 2 * REGISTERS, WIDTH = LOADS * LANES;
    Vector sums[REGISTERS] = {};
    // One loop over all passes, which starts over without a branch: one that ends each pass is guessed wrong, and of a buffer
    // that fits the first-level cache that costs a sixth of the time.
    const size_t whole = count / WIDTH * WIDTH, steps = count / WIDTH * passes;
    size_t at = 0;
    for (size_t step = 0; step < steps; ++step) {
        asm volatile("" : "+r"(at)); // step by step: nothing is read once and multiplied, no two steps are merged
        for (size_t j = 0; j < LOADS; ++j) sums[j % REGISTERS] += *reinterpret_cast<const Vector*>(data + at + j * LANES);
        at += WIDTH;
        at &= -static_cast<size_t>(at < whole);
    }
    Vector all = {};
    for (const Vector& sum : sums) all += sum;
    uint64_t total = 0;
    for (size_t lane = 0; lane < LANES; ++lane) total += all[lane];
    return total;
}

}  // namespace

extern const Read read;
const Read read = read_all;

}  // namespace limits::LEVEL
