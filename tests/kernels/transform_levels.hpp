#pragma once

#include "transform.hpp"

// One register's worth of each, as many lanes as the level has.
struct Primitives {
    int lanes;
    // (2048, lanes) samples, weighted by a window in the order of fft.hpp, to (1025, lanes) each.
    void (*transform64)(const Twiddles<double>& twiddles, const double* window, const double* frames, double* re, double* im);
    void (*transform32)(const Twiddles<float>& twiddles, const float* window, const float* frames, float* re, float* im);
    void (*logarithms)(const float* in, float* out, int count);
    void (*transposed)(float* square);
    void (*ordered)(const float* a, const float* b, float* low, float* high, unsigned* less);
    void (*multiplied)(const float* a, const float* b, const float* c, float* added, float* subtracted, float* roots);
    void (*converted)(const int16_t* shorts, float* floats, float* there_and_back);
};
