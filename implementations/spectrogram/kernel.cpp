// Frames are lanes: a block of kFrames frames runs through window, transform, magnitude, bands and logarithm side by side.
#include "kernel.hpp"

#include <cstdlib>
#include <new>

#include "fft.hpp"
#include "logarithm.hpp"

namespace LEVEL {
namespace {

constexpr int64_t kBefore = kFrame / 2;  // samples of a frame before its centre

// Memory of one thread, kept between calls.
struct Scratch {
    void* rows = get(kRowsBytes);
    void* inner = get(kInnerBytes);
    float* magnitude = static_cast<float*>(get(kPlaces * kBytes));  // (places, kFrames)
    float *columns = nullptr, *padded = nullptr, *bands = nullptr;  // samples, transposed; samples between zeros; bands rounded up
    size_t columns_size = 0, padded_size = 0, bands_size = 0;

    static void* get(size_t bytes) {
        void* p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
        if (!p) throw std::bad_alloc();
        return p;
    }
    static void grow(float*& p, size_t& have, size_t want) {
        if (want <= have) return;
        std::free(p);
        p = nullptr, have = 0;
        p = static_cast<float*>(get(want * sizeof(float)));
        have = want;
    }
    ~Scratch() {
        std::free(rows), std::free(inner), std::free(magnitude);
        std::free(columns), std::free(padded), std::free(bands);
    }
};

template <class V> inline V samples(const float* from) { return load<V>(from); }
template <class V> inline V samples(const int16_t* from) {
    return widen(load<typename Shorts<sizeof(V) / sizeof(float)>::type>(from));
}

int64_t start(double hop, int64_t frame) { return static_cast<int64_t>(static_cast<double>(frame) * hop) - kBefore; }

// Transposes `count` frames, as many as V has lanes, into the columns from `to` on.
template <class V, int count, class Sample, class Where> inline void turn(const Tables& tables, const Sample* from, Where where, float* to) {
    const Sample* base[count];
    for (int i = 0; i < count; ++i) base[i] = from + where(i);
    for (int64_t n = 0; n < tables.period; n += count) {
        const int64_t at = n + count <= tables.period ? n : tables.period - count;
        V tile[count];
        for (int i = 0; i < count; ++i) tile[i] = samples<V>(base[i] + at);
        transpose(tile);
        for (int i = 0; i < count; ++i) store(to + (at + i) * tables.stride, tile[i]);
    }
}

// Fills Scratch::columns for the block whose first frame is `frame`; returns how far it read.
template <class Sample> int64_t gather(const Tables& tables, const Job& job, const Sample* signal, int64_t frame, Scratch& scratch) {
    const int64_t begin = start(tables.hop, frame);
    const auto where = [&](int64_t column) {
        return tables.shared ? column * tables.period : start(tables.hop, frame + column) - begin;
    };
    const int last = kFrames + (tables.used - kFrames + 3) / 4 * 4 - 1;
    const int64_t end = begin + where(last) + tables.period;
    const Sample* from = signal + begin;
    if (begin < 0 || end > job.samples) {
        Scratch::grow(scratch.padded, scratch.padded_size, static_cast<size_t>(end - begin));
        Sample* copy = reinterpret_cast<Sample*>(scratch.padded);
        for (int64_t i = begin; i < end; ++i) copy[i - begin] = i >= 0 && i < job.samples ? signal[i] : Sample(0);
        from = copy;
    }
    // the columns that neighbouring blocks share first: the last four may run over into the next row, which is written after them
    for (int column = kFrames; column < tables.used; column += 4)
        turn<FourF, 4>(tables, from, [&](int i) { return where(column + i); }, scratch.columns + column);
    turn<VecF, kFrames>(tables, from, where, scratch.columns);
    return end;
}

template <class T> inline Vec<T> sample(const float* from) {
    if constexpr (sizeof(T) == 4)
        return load<VecF>(from);
    else
        return widen(load<HalfF>(from));
}
template <class V> inline void put(float* to, Complex<V> x) { store(to, root(narrow(fma(x.re, x.re, x.im * x.im)))); }

// Memory to bring into the caches during a transform: the samples of the next block, and the lines this block's result will fill.
struct Ahead {
    const void *input, *output;
    int input_lines, output_lines;
};

// Share `step` of `steps` of these lines, to read (write = 0) or write them; always as many, or the branch would be mispredicted.
template <int write> INLINE void fetch(const void* from, int lines, int step, int steps) {
    const int share = (lines + steps - 1) / steps;
    const char* p = static_cast<const char*>(from) + static_cast<int64_t>(step) * share * 64;
    for (int i = 0; i < share; ++i) __builtin_prefetch(p + i * 64, write);
}

// |X| of the bins below tables.high into Scratch::magnitude.
template <class T> void transform(const Tables& tables, const Twiddles<T>& twiddles, const T* window, Scratch& scratch, const Ahead& ahead) {
    constexpr int n = sizeof(Vec<T>) / sizeof(T);
    const int high = tables.high;
    transform_frames<T>(
        twiddles, window, scratch.rows, scratch.inner,
        [&](int part, int i) ALWAYS { return sample<T>(scratch.columns + part * n + tables.at[i]); },
        [&](int part, int place, int bin, bool, Complex<Vec<T>> x) ALWAYS {
            if (bin < high) put(scratch.magnitude + place * kFrames + part * n, x);
        },
        [&](int step, int of) ALWAYS { fetch<1>(ahead.output, ahead.output_lines, step, of); },
        [&](int step, int of) ALWAYS { fetch<0>(ahead.input, ahead.input_lines, step, of); });
}

// log10(1 + x) for x >= 0.
inline VecF log10_1p(VecF x) { return log10_of(x + same<VecF>(1.0f)); }

// Bands and logarithm of the block; false when a value is not finite.
bool finish(const Tables& tables, Scratch& scratch, float* out, int64_t frames) {
    const int count = tables.bands;
    VecU worst{};
    for (int band = 0; band < count; ++band) {
        VecF even{}, odd{};  // two sums, so that one addition need not wait for the other
        int i = tables.offset[band];
        const auto term = [&](VecF sum) {
            const VecF next = fma(load<VecF>(scratch.magnitude + tables.place[i]), same<VecF>(tables.weight[i]), sum);
            ++i;
            return next;
        };
        while (i + 1 < tables.offset[band + 1]) even = term(even), odd = term(odd);
        if (i < tables.offset[band + 1]) even = term(even);
        const VecF sum = even + odd;
        const VecU bits = (VecU)sum;  // as an integer, NaN of either sign is above infinity, and that above all numbers
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

__attribute__((noinline)) Scratch& mine() {
    thread_local Scratch scratch;
    return scratch;
}

template <class Sample> bool blocks(const Tables& tables, const Job& job, int64_t stem, int64_t first, int64_t last) {
    Scratch& scratch = mine();
    Scratch::grow(scratch.columns, scratch.columns_size, static_cast<size_t>(tables.period * tables.stride + kFrames));
    Scratch::grow(scratch.bands, scratch.bands_size, static_cast<size_t>(tables.bands + kFrames) * kFrames);
    const Sample* signal = static_cast<const Sample*>(job.signals) + stem * job.samples;
    bool finite = true;
    for (int64_t frame = first * kFrames; frame < last * kFrames && frame < job.frames; frame += kFrames) {
        const int64_t end = gather(tables, job, signal, frame, scratch);
        float* out = job.out + (stem * job.frames + frame) * tables.bands;
        const Ahead ahead{signal + end, out, static_cast<int>(tables.hop * kFrames * sizeof(Sample)) / 64 + 1, tables.bands * kFrames / 16 + 1};
        if (job.single)
            transform<float>(tables, *tables.twiddles32, tables.window32, scratch, ahead);
        else
            transform<double>(tables, *tables.twiddles, tables.window, scratch, ahead);
        finite &= finish(tables, scratch, out, job.frames - frame);
    }
    return finite;
}

bool run(const Tables& tables, const Job& job, int64_t stem, int64_t first, int64_t last) {
    return job.integer ? blocks<int16_t>(tables, job, stem, first, last) : blocks<float>(tables, job, stem, first, last);
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

}  // namespace

extern const Level level = {kFrames, run, log10_1p_all};

}  // namespace LEVEL
