// The transform of 2048 real samples per lane, and the operations of a register, against scalar code.
#include "by_level.hpp"
#include "check.hpp"
#include "reference.hpp"
#include "transform_levels.hpp"
#include "twiddles.hpp"

TABLE_BY_LEVEL(primitives, Primitives, primitives)

namespace {

// The halving transform itself, against the definition.
void reference_is_a_fourier_transform() {
    check::Random random(1);
    reference::Spectrum values(64);
    for (auto& value : values) value = {random(), random()};
    const auto found = reference::fft(values);
    double worst = 0;
    for (size_t k = 0; k < values.size(); ++k) {
        std::complex<double> sum;
        for (size_t n = 0; n < values.size(); ++n) sum += values[n] * std::polar(1.0, -2 * reference::kPi * static_cast<double>(k * n % 64) / 64);
        worst = std::max(worst, std::abs(sum - found[k]));
    }
    check::that(worst < 1e-13, "reference: fft");
}

template <class T, class Transform> void transform(const Primitives& level, Transform run, double allowed) {
    const auto lanes = static_cast<size_t>(level.lanes);
    const auto taper = reference::hann(kFrame);
    std::vector<T> window(kFrame);
    for (int i = 0; i < kFrame; ++i) window[i] = static_cast<T>(taper[i / 32 + 64 * (i % 32)]);
    const auto frames = check::Random(2).many<T>(kFrame * lanes);
    std::vector<T> re((kFrame / 2 + 1) * lanes), im(re.size());
    run(*twiddles<T>(), window.data(), frames.data(), re.data(), im.data());
    for (size_t lane = 0; lane < lanes; ++lane) {
        std::vector<double> samples, found, expected;
        for (int n = 0; n < kFrame; ++n) samples.push_back(static_cast<double>(frames[n * lanes + lane]));
        const auto spectrum = reference::spectrum(samples.data(), kFrame, 0, taper);
        for (size_t bin = 0; bin <= kFrame / 2; ++bin) {
            found.insert(found.end(), {static_cast<double>(re[bin * lanes + lane]), static_cast<double>(im[bin * lanes + lane])});
            expected.insert(expected.end(), {spectrum[bin].real(), spectrum[bin].imag()});
        }
        check::close("transform of lane " + std::to_string(lane), found, expected, allowed);
    }
}

void registers(const Primitives& level) {
    const auto lanes = static_cast<size_t>(level.lanes);
    check::Random random(3);
    std::vector<float> values, logarithms(4096);
    std::vector<double> exact;
    for (size_t i = 0; i < logarithms.size(); ++i) {
        values.push_back(static_cast<float>(std::exp(40 * random())));
        exact.push_back(std::log10(static_cast<double>(values[i])));
    }
    level.logarithms(values.data(), logarithms.data(), static_cast<int>(values.size()));
    check::close("log10", logarithms, exact, 6e-8, 2.4e-7);  // two units in the last place

    auto square = random.many(lanes * lanes);
    std::vector<float> turned(square.size());
    for (size_t i = 0; i < lanes; ++i)
        for (size_t j = 0; j < lanes; ++j) turned[j * lanes + i] = square[i * lanes + j];
    level.transposed(square.data());
    check::that(square == turned, "transpose");

    for (int round = 0; round < 8; ++round) {
        const auto a = random.many(lanes), b = random.many(lanes), c = random.many(lanes);
        std::vector<float> low(lanes), high(lanes), added(lanes), subtracted(lanes), roots(lanes), lows, highs, sizes;
        std::vector<double> sums, differences;
        unsigned less = 0, lesser = 0;
        level.ordered(a.data(), b.data(), low.data(), high.data(), &less);
        level.multiplied(a.data(), b.data(), c.data(), added.data(), subtracted.data(), roots.data());
        for (size_t i = 0; i < lanes; ++i) {
            lows.push_back(std::min(a[i], b[i])), highs.push_back(std::max(a[i], b[i]));
            lesser |= static_cast<unsigned>(a[i] < b[i]) << i;
            sums.push_back(static_cast<double>(a[i]) * b[i] + c[i]), differences.push_back(c[i] - static_cast<double>(a[i]) * b[i]);
            sizes.push_back(std::fabs(a[i]));
        }
        check::that(low == lows && high == highs, "least and most");
        check::that(less == lesser, "bits of a comparison");
        check::close("fma", added, sums, 1.2e-7);
        check::close("fnma", subtracted, differences, 1.2e-7);
        check::close("root", roots, sizes, 0, 1.2e-7);
    }

    std::vector<int16_t> shorts;
    for (size_t i = 0; i < lanes; ++i) shorts.push_back(i ? static_cast<int16_t>(random.bits()) : INT16_MIN);
    std::vector<float> floats(lanes), back(lanes);
    level.converted(shorts.data(), floats.data(), back.data());
    check::that(floats == std::vector<float>(shorts.begin(), shorts.end()) && back == floats, "shorts, floats, doubles");
}

}  // namespace

int main() {
    reference_is_a_fourier_transform();
    check::each_level([](const std::string& name) {
        const Primitives& level = primitives(name);
        transform<double>(level, level.transform64, 1e-12);
        transform<float>(level, level.transform32, 3e-5);
        registers(level);
    });
    return check::done("transform");
}
