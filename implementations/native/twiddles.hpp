// Tables of the transform in fft.hpp, made once; for bindings and plans, not for kernels.
#pragma once

#include <cmath>
#include <vector>

#include "transform.hpp"

template <class T> const Twiddles<T>* twiddles() {
    static const Twiddles<T> made = [] {
        static Twiddles<T> t;
        const auto set = [](T(&at)[2], int k, int n) {
            const double angle = -2.0 * 3.14159265358979323846 * k / n;
            at[0] = static_cast<T>(std::cos(angle));
            at[1] = static_cast<T>(std::sin(angle));
        };
        for (int i = 0; i < 16; ++i)
            for (int n = 0; n < 64; ++n) set(t.row[i][n], i < 15 ? kResidues[i] * n : 0, kFrame);
        for (int b = 0; b < 8; ++b)
            for (int c = 0; c < 8; ++c) set(t.inner[b][c], b * c, 64);
        for (int j = 0; j < 33; ++j) set(t.packed[j], j, 128);
        return t;
    }();
    return &made;
}

// The place of each bin, 0 to 1024, among the transform's outputs.
inline std::vector<int32_t> places() {
    std::vector<int32_t> place(kFrame / 2 + 1);
    for (int i = 0; i < 15; ++i)
        for (int k = 0; k < 64; ++k) {
            const int index = kResidues[i] + 32 * k;
            place[index < kFrame / 2 ? index : kFrame - index] = i * kPlaceRow + 8 * (k % 8) + k / 8;
        }
    for (int j = 0; j <= 64; ++j) place[16 * j] = 15 * kPlaceRow + j;
    return place;
}
