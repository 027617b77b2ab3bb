// tanh and the sigmoid as one rational function, the exponential as a polynomial times a power of two.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"

namespace small_models::LEVEL {

// tanh(x) = above / below, within 3e-7 as computed. Minimax fit of x P(x^2) / Q(x^2) on [0, 8.3], where tanh rounds to 1 within 6e-8.
// Kept as a fraction, so that products and sums of several cost one division. below >= 1; both are under 3e3.
struct Fraction {
    F above, below;
};

inline Fraction tanh_fraction(F x) {
    x = most(same(-8.3f), least(same(8.3f), x));  // NaN stays NaN: it is the second argument
    const F y = x * x;
    const F p = fma(fma(fma(fma(same(1.4478684917762576e-08f), y, same(2.1382191334851086e-05f)), y, same(3.5412705037742853e-03f)), y,
                        same(1.3419127464294434e-01f)), y, same(9.999999403953552e-01f));
    const F q = fma(fma(fma(fma(same(8.224641305787372e-07f), y, same(3.361200215294957e-04f)), y, same(2.6049626991152763e-02f)), y,
                        same(4.675244390964508e-01f)), y, same(1.0f));
    return {x * p, q};
}

inline F limit(F low, F high, F x) { return most(low, least(high, x)); }

inline F tanh(F x) {
    const Fraction t = tanh_fraction(x);
    return limit(same(-1.0f), same(1.0f), quotient(t.above, t.below));
}
// 1 / (1 + exp(-x)) = (1 + tanh(x / 2)) / 2
inline F sigmoid(F x) {
    const Fraction t = tanh_fraction(x * 0.5f);
    return limit(same(0.0f), same(1.0f), fma(same(0.5f), quotient(t.above, t.below), same(0.5f)));
}
inline F relu(F x) { return pick(x < 0.0f, F{}, x); }

// exp(x) for x <= 0, relative error 2e-7; below -87 it is 1.6e-38.
inline F exponential(F x) {
    x = most(same(-87.0f), x);
    const I n = rounded(x * 1.44269504088896341f);
    const F whole = to_float(n);
    F r = fma(whole, same(-0.693145751953125f), x);  // ln 2 in two parts: the first has few bits, so that this product is exact
    r = fma(whole, same(-1.42860682030941723e-06f), r);
    constexpr float factors[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    F sum = same(1.0f / 5040);
    for (const float factor : factors) sum = fma(sum, r, same(factor));
    return sum * (F)((n + 127) << 23);
}

inline F apply(Activation activation, F x) {
    switch (activation) {
        case Activation::tanh: return tanh(x);
        case Activation::relu: return relu(x);
        case Activation::sigmoid: return sigmoid(x);
        default: return x;
    }
}

// In place; the lanes behind `count`, up to a whole vector, are set to 0.
inline void softmax(float* values, int32_t count) {
    float largest = values[0];
    for (int32_t i = 1; i < count; ++i) largest = values[i] > largest || values[i] != values[i] ? values[i] : largest;
    F sums{};
    const int32_t padded = (count + kLanes - 1) / kLanes * kLanes;
    for (int32_t i = count; i < padded; ++i) values[i] = -1e9f;
    for (int32_t i = 0; i < padded; i += kLanes) {
        const F e = exponential(load<F>(values + i) - largest);
        store(values + i, e);
        sums += e;
    }
    for (int32_t i = count; i < padded; ++i) values[i] = 0;  // exp(-87) at most: too small to have changed the sum
    float total = 0;
    for (int i = 0; i < kLanes; ++i) total += sums[i];
    const F factor = same(1.0f / total);
    for (int32_t i = 0; i < padded; i += kLanes) store(values + i, load<F>(values + i) * factor);
}

}  // namespace small_models::LEVEL
