// Numbers of the real 2048-point transform in fft.hpp. No templates of the standard library: an instance compiled for AVX-512 could be the
// one the linker keeps for everybody.
#pragma once

#include <cstdint>

constexpr int kFrame = 2048;

// Real bins of a 32-point transform: of each pair k, 32 - k, which are conjugates, the one that comes out without a change of sign.
constexpr int kResidues[15] = {1, 5, 9, 13, 17, 21, 25, 29, 30, 22, 14, 6, 28, 12, 8};

// Powers of W_n = exp(-2 pi i / n), in the precision of the transform.
template <class T> struct Twiddles {
    T row[16][64][2];  // W2048^(k n), k in kResidues; the last row is all ones
    T inner[8][8][2];  // W64^(b c)
    T packed[33][2];   // W128^j
};

// Where the transform leaves bin k: a row of 64 outputs (65 the last, which has bin 1024) writes neighbouring places, because places in order
// of bins would be 2 KiB apart, in two sets of the first cache. Rows are padded for the same reason.
constexpr int kPlaceRow = 66;
constexpr int kPlaces = 16 * kPlaceRow;
