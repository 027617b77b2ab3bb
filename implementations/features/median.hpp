// Running medians of 31 values, lane by lane, 16 neighbouring windows at a time.
//
// The 16 windows share 16 values, which are sorted once. Half the windows share 8 more on the left, half 8 more on the right, and so on down
// to one window. On the way only those values are kept that can still be the median: with s - 1 values of each window still unknown, s
// neighbours in rank. That is 36 minima and maxima per median, where sorting networks for single windows need 160 and more.
// Minima and maxima only select, so the result is the median to the bit.
#pragma once

#include "fft.hpp"

namespace LEVEL {

constexpr int kTile = 16;        // windows at a time
constexpr int kReach = 15;       // values before and after the centre of a window

INLINE void order(VecF& a, VecF& b) {
    const VecF low = least(a, b);
    b = most(a, b);
    a = low;
}

// Sorts values that rise and then fall, or the other way round.
template <int n> INLINE void sort_bitonic(VecF* v) {
    if constexpr (n > 1) {
#pragma GCC unroll 16
        for (int i = 0; i < n / 2; ++i) order(v[i], v[i + n / 2]);
        sort_bitonic<n / 2>(v);
        sort_bitonic<n / 2>(v + n / 2);
    }
}

// Batcher's odd-even merge of two sorted halves of v[0], v[r], v[2 r], ... below n.
template <int n, int r> INLINE void merge(VecF* v) {
    if constexpr (2 * r < n) {
        merge<n, 2 * r>(v);
        merge<n, 2 * r>(v + r);
#pragma GCC unroll 16
        for (int i = r; i + r < n; i += 2 * r) order(v[i], v[i + r]);
    } else {
        order(v[0], v[r]);
    }
}

template <int n> INLINE void sort(VecF* v) {
    if constexpr (n > 1) {
        sort<n / 2>(v);
        sort<n / 2>(v + n / 2);
        merge<n, 1>(v);
    }
}

// Of s sorted candidates and s / 2 sorted new values, the middle s / 2, sorted.
template <int s> INLINE void narrow_down(const VecF* candidates, const VecF* more, VecF* kept) {
    constexpr int h = s / 2;
#pragma GCC unroll 16
    for (int i = 0; i < h; ++i) kept[i] = most(candidates[i], more[h - 1 - i]);
    sort_bitonic<h>(kept);
#pragma GCC unroll 16
    for (int i = 0; i < h; ++i) kept[i] = least(kept[i], candidates[s - 1 - i]);
    sort_bitonic<h>(kept);
}

// The medians of windows first .. first + s - 1, given their common candidates.
template <int s, class X, class Out> INLINE void descend(const VecF* candidates, int first, X x, Out out) {
    if constexpr (s == 1) {
        out(first, candidates[0]);
    } else {
        constexpr int h = s / 2;
        VecF more[h], kept[h];
#pragma GCC unroll 16
        for (int i = 0; i < h; ++i) more[i] = x(first + h - 1 + i);
        sort<h>(more);
        narrow_down<s>(candidates, more, kept);
        descend<h>(kept, first, x, out);
#pragma GCC unroll 16
        for (int i = 0; i < h; ++i) more[i] = x(first + 2 * kReach + 1 + i);
        sort<h>(more);
        narrow_down<s>(candidates, more, kept);
        descend<h>(kept, first + h, x, out);
    }
}

// out(o, median of x(o) .. x(o + 30)) for o = 0 .. 15.
template <class X, class Out> INLINE void medians(X x, Out out) {
    VecF common[kTile];
#pragma GCC unroll 16
    for (int i = 0; i < kTile; ++i) common[i] = x(kTile - 1 + i);
    sort<kTile>(common);
    descend<kTile>(common, 0, x, out);
}

// Index i of a sequence of n that is reflected at both ends, as often as needed: ... 1 0 | 0 1 ... n - 1 | n - 1 ...
inline int64_t reflected(int64_t i, int64_t n) {
    const int64_t period = 2 * n;
    i = (i % period + period) % period;
    return i < n ? i : period - 1 - i;
}

}  // namespace LEVEL
