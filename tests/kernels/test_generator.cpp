// Products of a few rows by matrices of every type, of shapes that fill no register, against scalar code.
#include <algorithm>
#include <utility>

#include "by_level.hpp"
#include "check.hpp"
#include "kernel.hpp"

namespace skinny {
TABLE_BY_LEVEL(level_named, Level, level)
}

namespace {

using skinny::Type;

// What the bits of a number of so many bits of fraction are worth; the rest but the sign is exponent.
double worth(uint16_t bits, int fraction) {
    const int exponent_bits = 15 - fraction, bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = bits >> fraction & ((1 << exponent_bits) - 1), low = bits & ((1 << fraction) - 1);
    const double magnitude = std::ldexp(exponent ? low + (1 << fraction) : low, std::max(exponent, 1) - bias - fraction);
    return bits >> 15 ? -magnitude : magnitude;
}

// Of either kind, below 2 in size; the smallest of them are denormal.
std::vector<uint16_t> halves(size_t count, uint16_t one) {
    check::Random random(7);
    std::vector<uint16_t> found(count);
    for (uint16_t& bits : found) {
        const uint64_t drawn = random.bits();
        bits = static_cast<uint16_t>((drawn >> 16) % one | (drawn & 0x8000));
    }
    return found;
}

int64_t whole(int64_t count, int64_t step) { return (count + step - 1) / step; }

// A matrix (outputs, inputs) as the kernel reads it, zeros beyond its ends.
template <class Stored> std::vector<Stored> laid_out(const std::vector<Stored>& weights, int64_t outputs, int64_t inputs) {
    const int64_t blocks = whole(outputs, skinny::kRows), lines = whole(inputs, skinny::kLine);
    std::vector<Stored> laid(static_cast<size_t>(blocks * lines * skinny::kRows * skinny::kLine));
    for (int64_t n = 0; n < outputs; ++n)
        for (int64_t k = 0; k < inputs; ++k) {
            const int64_t line = n / skinny::kRows * lines + k / skinny::kLine, row = line * skinny::kRows + n % skinny::kRows;
            laid[static_cast<size_t>(row * skinny::kLine + k % skinny::kLine)] = weights[static_cast<size_t>(n * inputs + k)];
        }
    return laid;
}

template <class Stored>
void products(const skinny::Level& level, const char* what, Type type, const std::vector<Stored>& weights,
              const std::vector<double>& worths, int64_t outputs, int64_t inputs, int64_t rows) {
    const auto x = check::Random(3).many<float>(static_cast<size_t>(rows * inputs));
    std::vector<float> scales;
    if (type == Type::int8) scales = check::Random(5).many<float>(static_cast<size_t>(outputs));
    const int64_t blocks = whole(outputs, skinny::kRows), lines = whole(inputs, skinny::kLine), room = lines * skinny::kLine;
    const auto laid = laid_out(weights, outputs, inputs);
    std::vector<float> arranged(static_cast<size_t>(rows * room)), found(static_cast<size_t>(rows * outputs));
    for (int64_t r = 0; r < rows; ++r) level.arrange(type, x.data() + r * inputs, inputs, lines, arranged.data() + r * room);
    const skinny::Matrix matrix{type, laid.data(), scales.empty() ? nullptr : scales.data(), outputs, lines};
    level.multiply(matrix, arranged.data(), rows, found.data(), outputs, 0, blocks / 2);  // in two shares, as threads have them
    level.multiply(matrix, arranged.data(), rows, found.data(), outputs, blocks / 2, blocks);
    std::vector<double> expected;
    double largest = 1;
    for (double value : worths) largest = std::max(largest, std::fabs(value));
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t n = 0; n < outputs; ++n) {
            double sum = 0;
            const double* row = worths.data() + n * inputs;
            for (int64_t k = 0; k < inputs; ++k) sum += row[k] * x[static_cast<size_t>(r * inputs + k)];
            expected.push_back(scales.empty() ? sum : sum * scales[static_cast<size_t>(n)]);
        }
    const std::string shape = std::to_string(outputs) + " x " + std::to_string(inputs);
    const std::string where = std::string(what) + ", " + shape + ", rows " + std::to_string(rows);
    check::close(where, found, expected, 2e-7 * largest * static_cast<double>(inputs));
}

void every_type(const skinny::Level& level, int64_t outputs, int64_t inputs, int64_t rows) {
    const auto count = static_cast<size_t>(outputs * inputs);
    const auto floats = check::Random(11).many<float>(count);
    products(level, "float32", Type::float32, floats, {floats.begin(), floats.end()}, outputs, inputs, rows);
    const auto brains = halves(count, 0x3f80), narrow = halves(count, 0x3c00);
    std::vector<double> worths;
    for (uint16_t bits : brains) worths.push_back(worth(bits, 7));
    products(level, "bfloat16", Type::bfloat16, brains, worths, outputs, inputs, rows);
    worths.clear();
    for (uint16_t bits : narrow) worths.push_back(worth(bits, 10));
    products(level, "float16", Type::float16, narrow, worths, outputs, inputs, rows);
    std::vector<int8_t> eight;
    for (float value : floats) eight.push_back(static_cast<int8_t>(std::lround(127 * value)));
    products(level, "int8", Type::int8, eight, {eight.begin(), eight.end()}, outputs, inputs, rows);
}

}  // namespace

int main() {
    check::each_level([](const std::string& name) {
        const skinny::Level& level = skinny::level_named(name);
        for (int64_t rows : {1, 2, 3, 8, 13})
            for (auto [outputs, inputs] : {std::pair<int64_t, int64_t>{1, 1}, {3, 5}, {9, 31}, {66, 48}, {70, 161}})
                every_type(level, outputs, inputs, rows);
    });
    return check::done("generator");
}
