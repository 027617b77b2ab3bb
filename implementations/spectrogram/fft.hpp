// The pieces of a real 2048-point transform, written so that a lane is a frame: every operation is elementwise.
// Signs: forward transform, W_n = exp(-2 pi i / n).
#pragma once

#include "simd.hpp"

// Not a hint: a call left standing keeps its captures in memory, to be read again after each store.
#define INLINE inline __attribute__((always_inline))

namespace LEVEL {

template <class V> struct Complex {
    V re, im;
};
template <class V> INLINE Complex<V> operator+(Complex<V> a, Complex<V> b) { return {a.re + b.re, a.im + b.im}; }
template <class V> INLINE Complex<V> operator-(Complex<V> a, Complex<V> b) { return {a.re - b.re, a.im - b.im}; }
template <class V> INLINE Complex<V> minus_i(Complex<V> a) { return {a.im, -a.re}; }
// a + i b and a - i b
template <class V> INLINE Complex<V> add_i(Complex<V> a, Complex<V> b) { return {a.re - b.im, a.im + b.re}; }
template <class V> INLINE Complex<V> sub_i(Complex<V> a, Complex<V> b) { return {a.re + b.im, a.im - b.re}; }

// a * (w[0] + i w[1]); v is again(w)
template <class V, class T> INLINE Complex<V> times(Complex<V> a, const T* w, const T* v) {
    return {fnma(a.im, same<V>(w[1]), a.re * same<V>(w[0])), fma(a.re, same<V>(v[1]), a.im * same<V>(v[0]))};
}

// a * (c + i s)
template <class V> INLINE Complex<V> turn(Complex<V> a, V c, V s) { return {fnma(a.im, s, a.re * c), fma(a.re, s, a.im * c)}; }

constexpr double kHalfRoot = 0.70710678118654752440;  // sqrt(1/2)

// 8-point complex transform in place; outputs in natural order. 44 additions, 8 fused.
template <class V, class T> INLINE void dft8(Complex<V> (&a)[8]) {
    const V h = keep(same<V>(T(kHalfRoot)));
    const auto t0 = a[0] + a[4], t1 = a[0] - a[4], t2 = a[2] + a[6], t3 = a[2] - a[6];
    const auto t4 = a[1] + a[5], t5 = a[1] - a[5], t6 = a[3] + a[7], t7 = a[3] - a[7];
    const auto u0 = t0 + t2, u1 = t0 - t2, u2 = t4 + t6, u3 = t4 - t6;
    a[0] = u0 + u2;
    a[4] = u0 - u2;
    a[2] = sub_i(u1, u3);
    a[6] = add_i(u1, u3);
    const auto v0 = sub_i(t1, t3), v1 = add_i(t1, t3), p = t5 - t7, q = t5 + t7;
    const auto r = sub_i(p, q), s = add_i(p, q);  // W8 t5 + W8^3 t7 = h r,  W8^3 t5 + W8^9 t7 = -h s
    a[1] = {fma(h, r.re, v0.re), fma(h, r.im, v0.im)};
    a[5] = {fnma(h, r.re, v0.re), fnma(h, r.im, v0.im)};
    a[3] = {fnma(h, s.re, v1.re), fnma(h, s.im, v1.im)};
    a[7] = {fma(h, s.re, v1.re), fma(h, s.im, v1.im)};
}

// 32-point transform of real x(n) * w[n]. Of each pair k, 32 - k of its bins, which are conjugates, the one that needs no change of
// sign: out(i, bin kResidues[i]). Bins 0 and 16 are the sum and the difference of the two numbers that packed(even, odd) receives.
constexpr int kResidues[15] = {1, 5, 9, 13, 17, 21, 25, 29, 30, 22, 14, 6, 28, 12, 8};

// cos(2 pi b / 32), b = 0..8; the sine is read backwards
template <class T> constexpr T kCos32[9] = {T(1.0),
                                                T(0.98078528040323044913),
                                                T(0.92387953251128675613),
                                                T(0.83146961230254523708),
                                                T(0.70710678118654752440),
                                                T(0.55557023301960222474),
                                                T(0.38268343236508977173),
                                                T(0.19509032201612826785),
                                                T(0.0)};

template <class T, class V, class X, class Out, class Packed> INLINE void real32(X x, const T* w, Out out, Packed packed) {
    const T* w2 = again(w);
    // n = 8 a + b: four-point transforms over a for each b, window fused with the first additions
    V y0[8], y2[8];
    Complex<V> y1[8];
#pragma GCC unroll 8
    for (int b = 0; b < 8; ++b) {
        const V p = x(b) * same<V>(w[b]), q = x(b + 8) * same<V>(w[b + 8]);
        const V x2 = x(b + 16), x3 = x(b + 24);
        const V s0 = fma(x2, same<V>(w[b + 16]), p), s1 = fma(x3, same<V>(w[b + 24]), q);
        y0[b] = s0 + s1;
        y2[b] = s0 - s1;
        y1[b] = {fnma(x2, same<V>(w2[b + 16]), p), fma(x3, same<V>(w2[b + 24]), -q)};
        if (b) y1[b] = turn(y1[b], same<V>(kCos32<T>[b]), same<V>(-kCos32<T>[8 - b]));  // W32^b
    }
    dft8<V, T>(y1);
#pragma GCC unroll 8
    for (int m = 0; m < 8; ++m) out(m, y1[m]);
    // bins 2, 10, 18, 26 are the four-point transform of (y2[b] - i y2[b + 4]) W16^b; their conjugates that of its conjugate
    Complex<V> z[4];
#pragma GCC unroll 4
    for (int b = 0; b < 4; ++b) {
        z[b] = {y2[b], y2[b + 4]};
        if (b) z[b] = turn(z[b], same<V>(kCos32<T>[2 * b]), same<V>(kCos32<T>[8 - 2 * b]));
    }
    const auto t0 = z[0] + z[2], t1 = z[0] - z[2], t2 = z[1] + z[3], t3 = z[1] - z[3];
    out(8, t0 + t2);
    out(9, add_i(t1, t3));
    out(10, t0 - t2);
    out(11, sub_i(t1, t3));
    // bins 0, 4, ...: eight-point transform of the real y0
    const V e0 = y0[0] + y0[4], e1 = y0[0] - y0[4], e2 = y0[2] + y0[6], e3 = y0[2] - y0[6];
    const V o0 = y0[1] + y0[5], o1 = y0[1] - y0[5], o2 = y0[3] + y0[7], o3 = y0[3] - y0[7];
    const V h = same<V>(T(kHalfRoot)), d = o1 - o3, g = o1 + o3;
    packed(e0 + e2, o0 + o2);
    out(12, Complex<V>{fma(h, d, e1), fma(h, g, e3)});
    out(13, Complex<V>{fnma(h, d, e1), fnma(h, g, e3)});
    out(14, Complex<V>{e0 - e2, o2 - o0});
}

// Twiddles of all stages in the precision of the transform.
template <class T> struct Tables {
    T row[16][64][2];   // W2048^(k n), k in kResidues; the last is all ones
    T inner[8][8][2];   // W64^(b c)
    T post[33][2];      // W128^j
};

// 64-point complex transform of one row times its twiddles; emit(c, d, value) receives output c + 8 d.
// Twiddles are applied where values are loaded, which balances multiplications against additions in both halves.
template <class V, class T, class Emit> INLINE void fft64(const T* row, const T* next, const T* twiddle, const T* inner, T* scratch, Emit emit) {
    const T *twiddle2 = again(twiddle), *inner2 = again(inner);
    constexpr int n = sizeof(V) / sizeof(T);
    for (int b = 0; b < 8; ++b) {
        Complex<V> a[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const int at = 8 * i + b;
            const Complex<V> value{keep(load<V>(row + 2 * n * at)), keep(load<V>(row + 2 * n * at + n))};
            a[i] = times(value, twiddle + 2 * at, twiddle2 + 2 * at);
        }
        dft8<V, T>(a);
#pragma GCC unroll 8
        for (int c = 0; c < 8; ++c) {
            store(scratch + 2 * n * (8 * c + b), a[c].re);
            store(scratch + 2 * n * (8 * c + b) + n, a[c].im);
        }
    }
    for (int c = 0; c < 8; ++c) {
        Complex<V> a[8];
#pragma GCC unroll 8
        for (int b = 0; b < 8; ++b) {
            const T* from = scratch + 2 * n * (8 * c + b);
            a[b] = {keep(load<V>(from)), keep(load<V>(from + n))};
            if (b) a[b] = times(a[b], inner + 16 * c + 2 * b, inner2 + 16 * c + 2 * b);
        }
        dft8<V, T>(a);
#pragma GCC unroll 8
        for (int d = 0; d < 8; ++d) emit(c, d, a[d]);
    }
}

}  // namespace LEVEL
