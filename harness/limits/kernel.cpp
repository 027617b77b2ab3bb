// Compiled once per dispatch level: the vectors are as wide as that level has them.
#include "kernel.hpp"

namespace limits::LEVEL {

uint64_t read(const uint64_t* data, size_t count, size_t passes) {
    // Independent sums keep several loads in flight; 32 numbers are 4 registers of AVX-512, 8 of AVX2, 16 of SSE2 and NEON.
    constexpr size_t WIDTH = 32;
    uint64_t sums[WIDTH] = {};
    for (size_t pass = 0; pass < passes; ++pass) {
        // Without the pointer passing through here, the compiler may read once and multiply.
        asm volatile("" : "+r"(data) : : "memory");
        for (size_t i = 0; i + WIDTH <= count; i += WIDTH)
            for (size_t j = 0; j < WIDTH; ++j) sums[j] += data[i + j];
    }
    uint64_t total = 0;
    for (size_t j = 0; j < WIDTH; ++j) total += sums[j];
    return total;
}

}  // namespace limits::LEVEL
