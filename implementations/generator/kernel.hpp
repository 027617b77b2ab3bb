// Products of a few rows by a large matrix, compiled once per dispatch level.
#pragma once

#include <cstdint>

namespace skinny {

enum class Type { float32, bfloat16, float16, int8 };

constexpr int kRows = 8, kLine = 64;

// A matrix (outputs, inputs) laid out (blocks, lines, kRows, kLine): blocks of rows, of which so many weights each take turns, with zeros
// beyond the last output and input. Whoever multiplies by it reads one stream from begin to end. scales: (outputs) for int8, else null.
struct Matrix {
    Type type;
    const void* weights;
    const float* scales;
    int64_t outputs, lines;
};

struct Level {
    const char* name;
    // A row of so many inputs in the order in which the kernel multiplies it, with zeros up to lines * kLine.
    void (*arrange)(Type type, const float* row, int64_t inputs, int64_t lines, float* arranged);
    // out[r * stride + n] for r in 0 ... rows - 1 and each n of the blocks begin ... end - 1; x: arranged rows, one after the other.
    void (*multiply)(const Matrix& matrix, const float* x, int64_t rows, float* out, int64_t stride, int64_t begin, int64_t end);
};

}  // namespace skinny
