// The pieces that kernels share, compiled once per dispatch level, behind plain pointers.
#include "transform_levels.hpp"

#include <cstdlib>

#include "fft.hpp"
#include "logarithm.hpp"

namespace LEVEL {
namespace {

template <class T> void transform(const Twiddles<T>& twiddles, const T* window, const T* frames, T* re, T* im) {
    constexpr int n = sizeof(Vec<T>) / sizeof(T);
    void *rows = std::aligned_alloc(64, kRowsBytes), *inner = std::aligned_alloc(64, kInnerBytes);
    transform_frames<T>(
        twiddles, window, rows, inner, [&](int part, int i) ALWAYS { return load<Vec<T>>(frames + (i % 32 * 64 + i / 32) * kFrames + part * n); },
        [&](int part, int, int bin, bool mirrored, Complex<Vec<T>> x) ALWAYS {
            store(re + bin * kFrames + part * n, x.re);
            store(im + bin * kFrames + part * n, mirrored ? -x.im : x.im);
        },
        [](int, int) ALWAYS {}, [](int, int) ALWAYS {});
    std::free(rows), std::free(inner);
}

void logarithms(const float* in, float* out, int count) {
    for (int i = 0; i < count; i += kFrames) store(out + i, log10_of(load<VecF>(in + i)));
}

void transposed(float* square) {
    VecF rows[kFrames];
    for (int i = 0; i < kFrames; ++i) rows[i] = load<VecF>(square + i * kFrames);
    transpose(rows);
    for (int i = 0; i < kFrames; ++i) store(square + i * kFrames, rows[i]);
}

void ordered(const float* a, const float* b, float* low, float* high, unsigned* less) {
    const VecF x = load<VecF>(a), y = load<VecF>(b);
    store(low, least(x, y));
    store(high, most(x, y));
    *less = bits(x < y);
}

void multiplied(const float* a, const float* b, const float* c, float* added, float* subtracted, float* roots) {
    const VecF x = load<VecF>(a), y = load<VecF>(b), z = load<VecF>(c);
    store(added, fma(x, y, z));
    store(subtracted, fnma(x, y, z));
    store(roots, root(x * x));
}

void converted(const int16_t* shorts, float* floats, float* there_and_back) {
    const VecF wide = widen(load<typename Shorts<kFrames>::type>(shorts));
    store(floats, wide);
    for (int half = 0; half < 2; ++half) store(there_and_back + half * kFrames / 2, narrow(widen(load<HalfF>(floats + half * kFrames / 2))));
}

}  // namespace

extern const Primitives primitives;
const Primitives primitives = {kFrames, transform<double>, transform<float>, logarithms, transposed, ordered, multiplied, converted};

}  // namespace LEVEL
