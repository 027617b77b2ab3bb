// Products of a few rows by a large matrix, compiled once per dispatch level.
#pragma once

#include <cstdint>

namespace skinny {

enum class Type { float32, bfloat16, float16, int8 };

// weights: (outputs, inputs), row after row, as they lie in a checkpoint. scales: (outputs) for int8, else null.
struct Matrix {
    Type type;
    const void* weights;
    const float* scales;
    int64_t outputs, inputs;
};

struct Level {
    const char* name;
    // Floats that `arrange` needs for one row of so many inputs.
    int64_t (*room)(int64_t inputs);
    // A row in the order in which the kernel multiplies it, padded with zeros.
    void (*arrange)(Type type, const float* row, int64_t inputs, float* arranged);
    // out[r * stride + n] for r in 0 ... rows - 1 and n in begin ... end - 1; x: arranged rows, one after the other.
    void (*multiply)(const Matrix& matrix, const float* x, int64_t rows, float* out, int64_t stride, int64_t begin, int64_t end);
};

}  // namespace skinny
