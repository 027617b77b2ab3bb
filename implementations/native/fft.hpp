// The pieces of a real 2048-point transform, written so that a lane is a frame: every operation is elementwise.
// Signs: forward transform, W_n = exp(-2 pi i / n).
//
// The order of statements is part of the design. A core looks about one transform ahead, multiplications and additions use different
// pipes, and each transform begins with the one and ends with the other. So every loop is turned: the end of a transform alternates with
// the beginning of the next. On Zen 4 this alone is worth a seventh.
#pragma once

#include "simd.hpp"
#include "transform.hpp"

// Not a hint: a call left standing keeps its captures in memory, to be read again after each store.
#define ALWAYS __attribute__((always_inline))
#define INLINE inline ALWAYS

namespace LEVEL {

template <class V> struct Complex {
    V re, im;
};
template <class V> INLINE Complex<V> operator+(Complex<V> a, Complex<V> b) { return {a.re + b.re, a.im + b.im}; }
template <class V> INLINE Complex<V> operator-(Complex<V> a, Complex<V> b) { return {a.re - b.re, a.im - b.im}; }
// a + i b and a - i b
template <class V> INLINE Complex<V> add_i(Complex<V> a, Complex<V> b) { return {a.re - b.im, a.im + b.re}; }
template <class V> INLINE Complex<V> sub_i(Complex<V> a, Complex<V> b) { return {a.re + b.im, a.im - b.re}; }

// a * (w[0] + i w[1]); v is again(w)
template <class V, class T> INLINE Complex<V> times(Complex<V> a, const T* w, const T* v) {
    return {fnma(a.im, same<V>(w[1]), a.re * same<V>(w[0])), fma(a.re, same<V>(v[1]), a.im * same<V>(v[0]))};
}
// a * (c + i s)
template <class V> INLINE Complex<V> turned(Complex<V> a, V c, V s) { return {fnma(a.im, s, a.re * c), fma(a.re, s, a.im * c)}; }

constexpr double kHalfRoot = 0.70710678118654752440;  // sqrt(1/2)

// An 8-point complex transform after its first additions, in four steps that come from two inputs each.
template <class V> struct Eight {
    Complex<V> t[8];

    template <class In> INLINE void begin(int step, In in) {
        const int i = step == 0 ? 0 : step == 1 ? 2 : step == 2 ? 1 : 3;
        const Complex<V> a = in(i), b = in(i + 4);
        t[2 * step] = a + b;
        t[2 * step + 1] = a - b;
    }

    // out(k, output k); meanwhile(step), step = 0 .. 3, may begin the next transform in its place.
    template <class Out, class Meanwhile> INLINE void end(V half_root, Out out, Meanwhile meanwhile) {
        const auto u0 = t[0] + t[2], u1 = t[0] - t[2], u2 = t[4] + t[6], u3 = t[4] - t[6];
        const auto v0 = sub_i(t[1], t[3]), v1 = add_i(t[1], t[3]), p = t[5] - t[7], q = t[5] + t[7];
        out(0, u0 + u2);
        out(4, u0 - u2);
        meanwhile(0);
        const auto r = sub_i(p, q), s = add_i(p, q);  // W8 t5 + W8^3 t7 = sqrt(1/2) r,  W8^3 t5 + W8^9 t7 = -sqrt(1/2) s
        out(2, sub_i(u1, u3));
        out(6, add_i(u1, u3));
        meanwhile(1);
        out(1, Complex<V>{fma(half_root, r.re, v0.re), fma(half_root, r.im, v0.im)});
        out(5, Complex<V>{fnma(half_root, r.re, v0.re), fnma(half_root, r.im, v0.im)});
        meanwhile(2);
        out(3, Complex<V>{fnma(half_root, s.re, v1.re), fnma(half_root, s.im, v1.im)});
        out(7, Complex<V>{fma(half_root, s.re, v1.re), fma(half_root, s.im, v1.im)});
        meanwhile(3);
    }
};

// Eight transforms: in(j, i) is input i of number j, out(j, k, output k).
template <class V, class T, class In, class Out> INLINE void eight_times(In in, Out out) {
    const V half_root = keep(same<V>(T(kHalfRoot)));
    Eight<V> e;
#pragma GCC unroll 4
    for (int step = 0; step < 4; ++step) e.begin(step, [&](int i) ALWAYS { return in(0, i); });
    for (int j = 0; j < 7; ++j)
        e.end(
            half_root, [&](int k, Complex<V> x) ALWAYS { out(j, k, x); },
            [&](int step) ALWAYS { e.begin(step, [&](int i) ALWAYS { return in(j + 1, i); }); });
    e.end(
        half_root, [&](int k, Complex<V> x) ALWAYS { out(7, k, x); }, [](int) ALWAYS {});
}

// 64-point complex transform of a row times its twiddles; out(c, d, output c + 8 d). `scratch` holds 64 complex registers.
// Twiddles are applied where values are loaded, which balances multiplications against additions in both halves.
template <class V, class T, class Out> INLINE void fft64(const T* row, const T* twiddle, const T* inner, T* scratch, Out out) {
    constexpr int n = sizeof(V) / sizeof(T);
    const T *twiddle2 = again(twiddle), *inner2 = again(inner);
    const auto value = [](const T* from) ALWAYS { return Complex<V>{keep(load<V>(from)), keep(load<V>(from + n))}; };
    eight_times<V, T>(
        [&](int b, int i) ALWAYS {
            const int at = 2 * (8 * i + b);
            return times(value(row + n * at), twiddle + at, twiddle2 + at);
        },
        [&](int b, int c, Complex<V> x) ALWAYS {
            store(scratch + 2 * n * (8 * c + b), x.re);
            store(scratch + 2 * n * (8 * c + b) + n, x.im);
        });
    eight_times<V, T>(
        [&](int c, int b) ALWAYS {
            const int at = 2 * (8 * c + b);
            const Complex<V> x = value(scratch + n * at);
            return b ? times(x, inner + at, inner2 + at) : x;
        },
        out);
}

// cos(2 pi b / 32), b = 0..8; the sine is read backwards
template <class T>
constexpr T kCos32[9] = {T(1.0),
                         T(0.98078528040323044913),
                         T(0.92387953251128675613),
                         T(0.83146961230254523708),
                         T(0.70710678118654752440),
                         T(0.55557023301960222474),
                         T(0.38268343236508977173),
                         T(0.19509032201612826785),
                         T(0.0)};

// A 32-point transform of real samples after its first four-point transforms: those of samples b, b + 8, b + 16, b + 24, b = 0 .. 7.
template <class V, class T> struct Real32 {
    V y0[8], y2[8];
    Complex<V> y1[8];

    // x(n) * w[n], the window fused with the first additions
    template <class X> INLINE void begin(int b, X x, const T* w, const T* w2) {
        const V p = x(b) * same<V>(w[b]), q = x(b + 8) * same<V>(w[b + 8]);
        const V x2 = x(b + 16), x3 = x(b + 24);
        const V s0 = fma(x2, same<V>(w[b + 16]), p), s1 = fma(x3, same<V>(w[b + 24]), q);
        y0[b] = s0 + s1;
        y2[b] = s0 - s1;
        y1[b] = {fnma(x2, same<V>(w2[b + 16]), p), fma(x3, same<V>(w2[b + 24]), -q)};
        if (b) y1[b] = turned(y1[b], same<V>(kCos32<T>[b]), same<V>(-kCos32<T>[8 - b]));  // W32^b
    }

    // out(i, bin kResidues[i]); bins 0 and 16 are the sum and the difference of the two numbers that packed(even, odd) receives.
    // meanwhile(b), b = 0 .. 7, may begin the next transform in `next`.
    template <class Out, class Packed, class Meanwhile> INLINE void end(Out out, Packed packed, Meanwhile meanwhile) {
        const V h = same<V>(T(kHalfRoot));
        // bins 0, 4, ...: eight-point transform of the real y0
        const V e0 = y0[0] + y0[4], e1 = y0[0] - y0[4], e2 = y0[2] + y0[6], e3 = y0[2] - y0[6];
        const V o0 = y0[1] + y0[5], o1 = y0[1] - y0[5], o2 = y0[3] + y0[7], o3 = y0[3] - y0[7];
        const V d = o1 - o3, g = o1 + o3;
        packed(e0 + e2, o0 + o2);
        meanwhile(0);
        out(12, Complex<V>{fma(h, d, e1), fma(h, g, e3)});
        out(13, Complex<V>{fnma(h, d, e1), fnma(h, g, e3)});
        out(14, Complex<V>{e0 - e2, o2 - o0});
        meanwhile(1);
        // bins 2, 10, 18, 26 are the four-point transform of (y2[b] - i y2[b + 4]) W16^b; their conjugates that of its conjugate
        Complex<V> z[4];
#pragma GCC unroll 4
        for (int b = 0; b < 4; ++b) {
            z[b] = {y2[b], y2[b + 4]};
            if (b) z[b] = turned(z[b], same<V>(kCos32<T>[2 * b]), same<V>(kCos32<T>[8 - 2 * b]));
        }
        const auto t0 = z[0] + z[2], t1 = z[0] - z[2], t2 = z[1] + z[3], t3 = z[1] - z[3];
        out(8, t0 + t2);
        out(10, t0 - t2);
        meanwhile(2);
        out(9, add_i(t1, t3));
        out(11, sub_i(t1, t3));
        meanwhile(3);
        // bins 1, 5, ...
        Eight<V> e;
#pragma GCC unroll 4
        for (int step = 0; step < 4; ++step) e.begin(step, [&](int b) ALWAYS { return y1[b]; });
        e.end(h, out, [&](int step) ALWAYS { meanwhile(4 + step); });
    }
};

// 64 transforms of real samples: x(n2, n1) is sample n1 of number n2, w[32 n2 + n1] its weight; outputs as in Real32, with n2 first.
template <class V, class T, class X, class Out, class Packed> INLINE void real32_times_64(X x, const T* w, Out out, Packed packed) {
    const T* w2 = again(w);
    Real32<V, T> now, next;
#pragma GCC unroll 8
    for (int b = 0; b < 8; ++b) now.begin(b, [&](int n1) ALWAYS { return x(0, n1); }, w, w2);
    for (int n2 = 0; n2 < 63; ++n2) {
        now.end([&](int i, Complex<V> v) ALWAYS { out(n2, i, v); }, [&](V even, V odd) ALWAYS { packed(n2, even, odd); },
                [&](int b) ALWAYS {
                    next.begin(b, [&](int n1) ALWAYS { return x(n2 + 1, n1); }, w + 32 * (n2 + 1), w2 + 32 * (n2 + 1));
                });
        now = next;
    }
    now.end([&](int i, Complex<V> v) ALWAYS { out(63, i, v); }, [&](V even, V odd) ALWAYS { packed(63, even, odd); }, [](int) ALWAYS {});
}

// The intermediate values of a block: two halves for a transform in double, whose registers hold half a block.
constexpr int kRowBytes = 64 * 2 * kBytes + 2 * kBytes;  // padded so that equal columns of the rows do not share cache sets
constexpr int kRowsBytes = 2 * 16 * kRowBytes;           // 16 rows of 64 complex registers per half
constexpr int kInnerBytes = 64 * 2 * kBytes;             // 64 complex registers

// The transform of 2048 real samples per lane is 64 real 32-point transforms (columns n, n + 64, ...; the window is fused with their first
// additions) followed by 15 complex 64-point transforms, one per residue k mod 32 of the bins, and one that packs the real residues 0
// and 16. A column's result is a row's input, so the intermediate (128 KiB) is written once and read once.
//
// x(part, i) gives sample n2 + 64 n1 of the lanes of `part`, i = 32 n2 + n1, and window[i] its weight. out(part, place, bin, mirrored, X)
// gets each bin from 0 to 1024, some twice; where mirrored, X is its conjugate. row(step) and column(step, of) may fetch memory meanwhile.
template <class T, class X, class Out, class Row, class Column>
INLINE void transform_frames(const Twiddles<T>& twiddles, const T* window, void* memory, void* scratch, X x, Out out, Row at_row, Column at_column) {
    using V = Vec<T>;
    constexpr int n = sizeof(V) / sizeof(T), parts = kFrames / n;  // in double a block is two registers wide
    constexpr int row = kRowBytes / sizeof(T);
    T* const rows = static_cast<T*>(memory);
    T* const inner = static_cast<T*>(scratch);
    const auto row_of = [&](int part, int i) { return rows + (16 * part + i) * row; };
    for (int part = 0; part < parts; ++part) {
        T *const to = rows + 16 * part * row, *const packed = to + 15 * row;
        real32_times_64<V, T>(
            [&](int n2, int n1) ALWAYS { return x(part, 32 * n2 + n1); }, window,
            [&](int n2, int i, Complex<V> v) ALWAYS {
                store(to + i * row + 2 * n * n2, v.re);
                store(to + i * row + 2 * n * n2 + n, v.im);
            },
            // residues 0 and 16 together are the bins of a real 128-point sequence, packed in pairs
            [&](int n2, V even, V odd) ALWAYS {
                store(packed + n * n2, even);
                store(packed + n * (64 + n2), odd);
            });
    }
    // The parts of a row side by side: the lines of results that they share stay in the first cache.
    for (int i = 0; i < 15; ++i)
        for (int part = 0; part < parts; ++part) {
            const int step = i * parts + part;
            at_row(step, 15 * parts);
            fft64<V, T>(row_of(part, i), twiddles.row[i][0], twiddles.inner[0][0], inner, [&](int c, int d, Complex<V> v) ALWAYS {
                if (d == 0) at_column(8 * step + c, 8 * 15 * parts);
                const int index = kResidues[i] + 32 * c + 256 * d;
                out(part, i * kPlaceRow + 8 * c + d, d < 4 ? index : kFrame - index, d >= 4, v);
            });
        }
    const V half = same<V>(T(0.5));
    for (int part = 0; part < parts; ++part) {
        T* packed = row_of(part, 15);
        fft64<V, T>(packed, twiddles.row[15][0], twiddles.inner[0][0], inner, [&](int c, int d, Complex<V> v) ALWAYS {
            store(packed + 2 * n * (c + 8 * d), v.re);
            store(packed + 2 * n * (c + 8 * d) + n, v.im);
        });
        // bins 16 j and 16 (64 - j) from the packed outputs j and 64 - j
        for (int j = 0; j <= 32; ++j) {
            const int mirror = (64 - j) % 64;
            const Complex<V> a{load<V>(packed + 2 * n * j), load<V>(packed + 2 * n * j + n)};
            const Complex<V> b{load<V>(packed + 2 * n * mirror), load<V>(packed + 2 * n * mirror + n)};
            const Complex<V> even{a.re + b.re, a.im - b.im}, odd{a.im + b.im, b.re - a.re};
            const auto rotated = times(odd, twiddles.packed[j], twiddles.packed[j]);
            out(part, 15 * kPlaceRow + j, 16 * j, false, Complex<V>{(even.re + rotated.re) * half, (even.im + rotated.im) * half});
            out(part, 15 * kPlaceRow + 64 - j, 1024 - 16 * j, true,
                Complex<V>{(even.re - rotated.re) * half, (even.im - rotated.im) * half});
        }
    }
}

}  // namespace LEVEL
