// Frames are lanes: a block of kFrames frames runs through window, transform, magnitude, bands and logarithm side by side.
//
// The transform of 2048 real samples is 64 real 32-point transforms (columns n, n + 64, ...; the window is fused with their first
// additions) followed by 15 complex 64-point transforms, one per residue k mod 32 of the bins, and one that packs the real residues 0
// and 16. A column's result is a row's input, so the intermediate (128 KiB) is written once and read once.
#include "kernel.hpp"

#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>

#include "fft.hpp"

namespace LEVEL {
namespace {

constexpr int kLanesD = kFrames / 2;
constexpr int64_t kPad = 1024;

template <class T> const Tables<T>& tables() {
    static const std::unique_ptr<Tables<T>> made = [] {
        const double turn = -2.0 * 3.14159265358979323846;
        auto t = std::make_unique<Tables<T>>();
        auto set = [&](T(&at)[2], int k, int n) { at[0] = T(std::cos(turn * k / n)), at[1] = T(std::sin(turn * k / n)); };
        for (int i = 0; i < 16; ++i)
            for (int n = 0; n < 64; ++n) set(t->row[i][n], i < 15 ? kResidues[i] * n : 0, 2048);
        for (int b = 0; b < 8; ++b)
            for (int c = 0; c < 8; ++c) set(t->inner[b][c], b * c, 64);
        for (int j = 0; j < 33; ++j) set(t->post[j], j, 128);
        return t;
    }();
    return *made;
}

// Where the transform leaves bin k in Scratch::magnitude: a row of the transform writes its own 64 neighbouring places, because places
// in order of bins would be 2 KiB apart, in two sets of the first cache.
struct Places {
    static constexpr int kRow = 66;
    int32_t of[1024];
    Places() {
        for (int i = 0; i < 15; ++i)
            for (int c = 0; c < 8; ++c)
                for (int d = 0; d < 8; ++d) {
                    const int index = kResidues[i] + 32 * c + 256 * d;
                    of[index < 1024 ? index : kFrame - index] = i * kRow + 8 * c + d;
                }
        for (int j = 0; j < 64; ++j) of[16 * j] = 15 * kRow + j;
    }
};
const Places kPlaces;

// Memory of one thread, kept between calls.
struct Scratch {
    static constexpr int kRow = 64 * 2 * kBytes + 2 * kBytes;  // bytes; padded so that equal columns of the rows do not share cache sets
    void* rows;                                               // 16 rows of 64 complex registers
    void* inner;                                              // 64 complex registers
    float* magnitude;                                         // |X| (Places, kFrames)
    float* bands;                                             // (bands rounded up, kFrames)
    float* columns = nullptr;                                 // samples, transposed: one row per sample of a hop, one column per frame
    float* padded = nullptr;                                  // samples with the zeros around the signal
    size_t columns_size = 0, padded_size = 0, bands_size = 0;
    double* window;                                           // [n2][n1]

    static void* get(size_t bytes) {
        void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!p) throw std::bad_alloc();
        return p;
    }
    static void grow(float*& p, size_t& have, size_t want) {
        if (want <= have) return;
        std::free(p);
        p = nullptr, have = 0;
        p = static_cast<float*>(get(want * 4));
        have = want;
    }
    Scratch() : rows(get(16 * kRow)), inner(get(64 * 2 * kBytes)), magnitude(static_cast<float*>(get(16 * Places::kRow * kBytes))), bands(nullptr), window(static_cast<double*>(get(kFrame * 8))) {}
    ~Scratch() {
        for (void* p : {rows, inner, static_cast<void*>(magnitude), static_cast<void*>(bands), static_cast<void*>(columns),
                        static_cast<void*>(padded), static_cast<void*>(window)})
            std::free(p);
    }
};

// Where sample n of every frame of a block lies in Scratch::columns. With a whole hop, frame j at n is frame j + 1 at n - hop, so that
// hop rows of a few more than kFrames columns hold all: 3.7 times fewer values to transpose at 44.1 kHz than 2048 rows.
struct Layout {
    bool shared;
    int period, used, stride;
    explicit Layout(double hop) {
        shared = hop == std::floor(hop) && hop >= kFrames && hop < kFrame;
        period = shared ? static_cast<int>(hop) : kFrame;
        used = kFrames + (kFrame - 1) / period;
        stride = used | 1;  // odd: rows 64 apart, which are read together, fall into different cache sets
    }
    int32_t at(int n) const { return n % period * stride + n / period; }
    size_t size() const { return static_cast<size_t>(period) * stride + kFrames; }
};

inline VecF samples(const float* from) { return load<VecF>(from); }
inline VecF samples(const int16_t* from) { return __builtin_convertvector(load<HalfS>(from), VecF); }

int64_t start(double hop, int64_t frame) { return static_cast<int64_t>(static_cast<double>(frame) * hop) - kPad; }

// Fills Scratch::columns for the block whose first frame is `frame`.
template <class Sample> void gather(const Job& job, const Sample* signal, int64_t frame, const Layout& layout, Scratch& scratch) {
    const int64_t begin = start(job.hop, frame);
    const auto where = [&](int column) {
        return layout.shared ? static_cast<int64_t>(column) * layout.period : start(job.hop, frame + column) - begin;
    };
    const int64_t end = begin + where((layout.used - 1) / kFrames * kFrames + kFrames - 1) + layout.period;
    const Sample* from = signal + begin;
    if (begin < 0 || end > job.samples) {
        Scratch::grow(scratch.padded, scratch.padded_size, static_cast<size_t>(end - begin));
        Sample* copy = reinterpret_cast<Sample*>(scratch.padded);
        for (int64_t i = begin; i < end; ++i) copy[i - begin] = i >= 0 && i < job.samples ? signal[i] : Sample(0);
        from = copy;
    }
    // last columns first: a tile there runs over into the next row, which the tiles before it write afterwards
    for (int column = (layout.used - 1) / kFrames * kFrames; column >= 0; column -= kFrames) {
        const Sample* base[kFrames];
        for (int i = 0; i < kFrames; ++i) base[i] = from + where(column + i);
        for (int n = 0; n < layout.period; n += kFrames) {
            const int at = n + kFrames <= layout.period ? n : layout.period - kFrames;
            VecF tile[kFrames];
            for (int i = 0; i < kFrames; ++i) tile[i] = samples(base[i] + at);
            transpose(tile);
            for (int i = 0; i < kFrames; ++i) store(scratch.columns + (at + i) * layout.stride + column, tile[i]);
        }
    }
}

template <class T> inline Vec<T> fetch(const float* from) {
    if constexpr (sizeof(T) == 4)
        return load<VecF>(from);
    else
        return widen(load<HalfF>(from));
}
template <class V> inline void put(float* to, Complex<V> x) { store(to, root(narrow(fma(x.re, x.re, x.im * x.im)))); }

// |X| of the frames from `lane` on, of the bins below bands.high, into Scratch::magnitude.
template <class T> void transform(const float* columns, const int32_t* at, const double* window, Scratch& scratch, const Bands& bands, int lane) {
    using V = Vec<T>;
    constexpr int n = sizeof(V) / sizeof(T);
    constexpr int row = Scratch::kRow / sizeof(T);
    T* rows = static_cast<T*>(scratch.rows);
    T* packed = rows + 15 * row;
    for (int n2 = 0; n2 < 64; ++n2) {
        T w[32];
        if constexpr (sizeof(T) == 4)
            for (int i = 0; i < 32; ++i) w[i] = static_cast<T>(window[32 * n2 + i]);
        const T* weights = sizeof(T) == 4 ? w : reinterpret_cast<const T*>(window + 32 * n2);
        real32<T, V>([&](int i) { return fetch<T>(columns + at[32 * n2 + i]); }, weights,
                     [&](int i, Complex<V> x) {
                         store(rows + i * row + 2 * n * n2, x.re);
                         store(rows + i * row + 2 * n * n2 + n, x.im);
                     },
                     // residues 0 and 16 together are the bins of a real 128-point sequence, packed in pairs
                     [&](V even, V odd) {
                         store(packed + n * n2, even);
                         store(packed + n * (64 + n2), odd);
                     });
    }
    const auto& t = tables<T>();
    T* inner = static_cast<T*>(scratch.inner);
    float* magnitude = scratch.magnitude + lane;
    const int high = bands.high;
    for (int i = 0; i < 15; ++i) {
        const int residue = kResidues[i];
        fft64<V, T>(rows + i * row, rows + (i + 1) * row, t.row[i][0], t.inner[0][0], inner, [&](int c, int d, Complex<V> x) {
            const int index = residue + 32 * c + 256 * d, bin = d < 4 ? index : kFrame - index;
            if (bin < high) put(magnitude + (i * Places::kRow + 8 * c + d) * kFrames, x);
        });
    }
    fft64<V, T>(packed, rows, t.row[15][0], t.inner[0][0], inner, [&](int c, int d, Complex<V> x) {
        store(packed + 2 * n * (c + 8 * d), x.re);
        store(packed + 2 * n * (c + 8 * d) + n, x.im);
    });
    // bins 16 j and 16 (64 - j) from the packed outputs j and 64 - j
    const V half = same<V>(T(0.5));
    for (int j = 0; j <= 32; ++j) {
        const int mirror = (64 - j) % 64;
        const Complex<V> a{load<V>(packed + 2 * n * j), load<V>(packed + 2 * n * j + n)};
        const Complex<V> b{load<V>(packed + 2 * n * mirror), load<V>(packed + 2 * n * mirror + n)};
        const Complex<V> even{a.re + b.re, a.im - b.im}, odd{a.im + b.im, b.re - a.re};
        const auto turned = times(odd, t.post[j], t.post[j]);
        const Complex<V> x{(even.re + turned.re) * half, (even.im + turned.im) * half};
        const Complex<V> y{(even.re - turned.re) * half, (even.im - turned.im) * half};
        put(magnitude + (15 * Places::kRow + j) * kFrames, x);
        if (j) put(magnitude + (15 * Places::kRow + 64 - j) * kFrames, y);
    }
}

// log10(1 + x) for x >= 0.
inline VecF log10_1p(VecF x) {
    const VecF s = x + same<VecF>(1.0f);
    const VecI bits = (VecI)s - 0x3f3504f3;  // mantissa in [sqrt(1/2), sqrt(2))
    const VecI exponent = bits >> 23;
    const VecF f = (VecF)((VecI)s - (exponent << 23)) - same<VecF>(1.0f);
    const VecF e = __builtin_convertvector(exponent, VecF);
    static const float c[] = {-3.309807181e-02f, 5.604422465e-02f,  -5.751562491e-02f, 6.159092858e-02f,  -7.213202864e-02f,
                                8.686744422e-02f,  -1.085805073e-01f, 1.447647959e-01f, -2.171471864e-01f, 4.342944920e-01f};
    VecF p = same<VecF>(c[0]);
    for (unsigned i = 1; i < sizeof c / sizeof *c; ++i) p = fma(p, f, same<VecF>(c[i]));
    // log10(2) in two parts; the first has few bits, so that its product with the exponent is exact
    return fma(e, same<VecF>(0x1.344p-2f), fma(p, f, e * same<VecF>(4.6050389812e-06f)));
}

// Bands and logarithm of the block; false when a value is not finite.
bool finish(Scratch& scratch, const Bands& bands, float* out, int frames) {
    const int count = bands.count();
    VecU worst{};
    for (int band = 0; band < count; ++band) {
        const int begin = bands.offset[band], size = bands.offset[band + 1] - begin;
        const int32_t* places = kPlaces.of + bands.first[band];
        VecF sum{};
        for (int i = 0; i < size; ++i) sum = fma(load<VecF>(scratch.magnitude + places[i] * kFrames), same<VecF>(bands.weight[begin + i]), sum);
        const VecU bits = (VecU)sum;
        worst = bits > worst ? bits : worst;
        store(scratch.bands + band * kFrames, log10_1p(sum));
    }
    for (int first = 0; first < count; first += kFrames) {
        VecF tile[kFrames];
        for (int i = 0; i < kFrames; ++i) tile[i] = load<VecF>(scratch.bands + (first + i) * kFrames);
        transpose(tile);
        const int width = count - first < kFrames ? count - first : kFrames;
        for (int i = 0; i < kFrames && i < frames; ++i) {
            float* to = out + static_cast<int64_t>(i) * count + first;
            if (width == kFrames) store(to, tile[i]);
            else std::memcpy(to, &tile[i], sizeof(float) * width);
        }
    }
    bool finite = true;
    for (int i = 0; i < kFrames; ++i) finite &= worst[i] < 0x7f800000u;
    return finite;
}

Scratch& mine() {
    thread_local Scratch scratch;
    return scratch;
}

template <class Sample> bool blocks(const Job& job, int64_t stem, int64_t first, int64_t last) {
    Scratch& scratch = mine();
    const Layout layout(job.hop);
    Scratch::grow(scratch.columns, scratch.columns_size, layout.size());
    const int count = job.bands->count();
    Scratch::grow(scratch.bands, scratch.bands_size, static_cast<size_t>((count + kFrames - 1) / kFrames * kFrames) * kFrames);
    int32_t at[kFrame];
    for (int n2 = 0; n2 < 64; ++n2)
        for (int n1 = 0; n1 < 32; ++n1) {
            at[32 * n2 + n1] = layout.at(64 * n1 + n2);
            scratch.window[32 * n2 + n1] = job.window[64 * n1 + n2];
        }
    const Sample* signal = static_cast<const Sample*>(job.signals) + stem * job.samples;
    bool finite = true;
    for (int64_t block = first; block < last; ++block) {
        const int64_t frame = block * kFrames, left = job.frames - frame;
        gather(job, signal, frame, layout, scratch);
        if (job.single)
            transform<float>(scratch.columns, at, scratch.window, scratch, *job.bands, 0);
        else
            for (int lane = 0; lane < kFrames; lane += kLanesD)
                transform<double>(scratch.columns + lane, at, scratch.window, scratch, *job.bands, lane);
        finite &= finish(scratch, *job.bands, job.out + (stem * job.frames + frame) * count, left < kFrames ? static_cast<int>(left) : kFrames);
    }
    return finite;
}

bool run(const Job& job, int64_t stem, int64_t first, int64_t last) {
    return job.integer ? blocks<int16_t>(job, stem, first, last) : blocks<float>(job, stem, first, last);
}

void log10_1p_all(const float* in, float* out, int64_t count) {
    for (int64_t i = 0; i < count; i += kFrames) {
        VecF v{};
        const auto size = sizeof(float) * static_cast<size_t>(count - i < kFrames ? count - i : kFrames);
        std::memcpy(&v, in + i, size);
        v = log10_1p(v);
        std::memcpy(out + i, &v, size);
    }
}

#define TEXT(x) #x
#define NAME(x) TEXT(x)

}  // namespace

extern const Level level = {NAME(LEVEL), kFrames, run, log10_1p_all};

}  // namespace LEVEL
