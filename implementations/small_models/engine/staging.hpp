// One frame's input in the form in which the weights of a precision take it.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"
#include "weights.hpp"

namespace small_models::LEVEL {

// Numbers from the least to the greatest become 0 ... 255: x = lowest + step * number. One that is not finite makes `step` NaN, and
// with it every sum. Returns through range: step, lowest.
inline float quantizer(const float* from, int32_t count, float* range) {
    F low = same(from[0]), high = low, sick{};
    int32_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        const F x = load<F>(from + i);
        low = least(low, x);
        high = most(high, x);
        sick += x * 0.0f;
    }
    float lowest = low[0], highest = high[0], bad = sick[0];
    for (int l = 1; l < kLanes; ++l) {
        lowest = low[l] < lowest ? low[l] : lowest;
        highest = high[l] > highest ? high[l] : highest;
        bad += sick[l];
    }
    for (; i < count; ++i) {
        lowest = from[i] < lowest ? from[i] : lowest;
        highest = from[i] > highest ? from[i] : highest;
        bad += from[i] * 0.0f;
    }
    const float width = highest - lowest;
    range[0] = width * (1.0f / 255) + bad;
    range[1] = lowest;
    return width > 1e-30f ? 255.0f / width : 0.0f;
}

// Floats that the kernel can read where they are.
template <class W> constexpr bool kAsTheyAre = W::precision != Precision::int8;

// from: scratch, with room for whole vectors. What lies beyond `count` meets weights of 0, and must be finite where floats are multiplied.
template <class W> inline void stage(float* from, int32_t count, uint8_t* to, float* range) {
    const int32_t padded = (count + kLanes - 1) / kLanes * kLanes;
    if constexpr (W::precision == Precision::int8) {
        const F scale = same(quantizer(from, count, range)), lowest = same(range[1]);
        for (int32_t i = 0; i < padded; i += kLanes) {
            const I number = rounded((load<F>(from + i) - lowest) * scale);
            if constexpr (sizeof(typename W::Word) == 4) {
#if LEVEL_BYTES == 64
                _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), _mm512_cvtusepi32_epi8((__m512i)number));
#endif
            } else {
                int16_t* words = reinterpret_cast<int16_t*>(to) + i;
                for (int l = 0; l < kLanes; ++l) words[l] = static_cast<int16_t>(number[l]);
            }
        }
    } else {
        if (count % group(W::precision)) from[count] = 0;
    }
}

}  // namespace small_models::LEVEL
