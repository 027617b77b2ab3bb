// Engines and callbacks with one fault each, for the pipeline of the small models.
#include "callback.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <time.h>

namespace {

std::mutex shared;  // between callback and inference: the classic mistake
std::atomic<int> steps{0};

void spin(double seconds) {
    timespec from, now;
    clock_gettime(CLOCK_MONOTONIC, &from);
    do clock_gettime(CLOCK_MONOTONIC, &now);
    while (static_cast<double>(now.tv_sec - from.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec - from.tv_nsec) < seconds);
}

int compute(const float* features, size_t feature_count, float* outputs, size_t output_count) {
    for (size_t i = 0; i < output_count; ++i) outputs[i] = features[i % feature_count];
    return 0;
}

struct Inner {
    harness_callback callback;
    harness_results results;
    void* state;
} inner;

}  // namespace

extern "C" {

int step_plain(void*, const float* f, size_t n, float* o, size_t m) { return compute(f, n, o, m); }
int step_5ms(void*, const float* f, size_t n, float* o, size_t m) { return spin(0.005), compute(f, n, o, m); }
int step_12ms(void*, const float* f, size_t n, float* o, size_t m) { return spin(0.012), compute(f, n, o, m); }
int step_nan(void*, const float* f, size_t n, float* o, size_t m) {
    compute(f, n, o, m);
    o[200] = NAN;  // of the third model
    return 0;
}
int step_throws(void*, const float* f, size_t n, float* o, size_t m) {
    if (++steps > 20) throw std::runtime_error("made to crash");
    return compute(f, n, o, m);
}
// Held for three blocks of 128 frames: whenever it begins, the next callback waits past its deadline.
int step_locks(void*, const float* f, size_t n, float* o, size_t m) {
    const std::lock_guard<std::mutex> guard(shared);
    return spin(0.008), compute(f, n, o, m);
}

void wrap(size_t callback, size_t results, size_t state) {
    inner = {reinterpret_cast<harness_callback>(callback), reinterpret_cast<harness_results>(results), reinterpret_cast<void*>(state)};
}
const harness_result* wrapped_results(void*) { return inner.results(inner.state); }
void callback_locks(void*, const float* in, float* out, uint32_t frames) {
    const std::lock_guard<std::mutex> guard(shared);
    inner.callback(inner.state, in, out, frames);
}
void callback_allocates(void*, const float* in, float* out, uint32_t frames) {
    void* memory = std::malloc(64);
    asm volatile("" : "+r"(memory) : : "memory");
    inner.callback(inner.state, in, out, frames);
    std::free(memory);
}
}
