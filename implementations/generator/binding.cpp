// Python's door to the kernel: checks what would be undefined behaviour, picks the level, deals rows of the matrix out to threads.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <vector>

#include "by_level.hpp"
#include "kernel.hpp"
#include "pool.hpp"

namespace nb = nanobind;

namespace skinny {
TABLE_BY_LEVEL(level_named, Level, level)
}

namespace {

constexpr int64_t kAlone = 256 << 10;  // bytes of a matrix below which waking threads costs more than they save
constexpr int kShares = 8;             // per thread: who is interrupted leaves work to the others, and none waits long for the last

template <class T> using Matrix = nb::ndarray<const T, nb::shape<-1, -1, skinny::kRows, skinny::kLine>, nb::c_contig, nb::device::cpu>;
using Rows = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Scales = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class T, skinny::Type type>
void multiply(const skinny::Level& level, Matrix<T> weights, Rows x, Out out, const std::optional<Scales>& scales, int threads) {
    const auto blocks = static_cast<int64_t>(weights.shape(0)), lines = static_cast<int64_t>(weights.shape(1));
    const auto rows = static_cast<int64_t>(x.shape(0)), inputs = static_cast<int64_t>(x.shape(1)), outputs = static_cast<int64_t>(out.shape(1));
    const skinny::Matrix matrix{type, weights.data(), scales ? scales->data() : nullptr, outputs, lines};
    if (threads < 1) throw std::invalid_argument("threads: expected 1 or more, found " + std::to_string(threads));
    if ((inputs + skinny::kLine - 1) / skinny::kLine != lines) throw std::invalid_argument("x: expected as many columns as the weights have");
    if (out.shape(0) != x.shape(0) || (outputs + skinny::kRows - 1) / skinny::kRows != blocks)
        throw std::invalid_argument("out: expected shape (rows, outputs)");
    if (scales && static_cast<int64_t>(scales->shape(0)) != outputs) throw std::invalid_argument("scales: expected one per output");
    if ((type == skinny::Type::int8) != scales.has_value()) throw std::invalid_argument("scales: int8 weights have them, others none");
    const nb::gil_scoped_release release;
    const int64_t room = lines * skinny::kLine;
    std::vector<float> arranged(static_cast<size_t>(rows * room));
    for (int64_t r = 0; r < rows; ++r) level.arrange(type, x.data() + r * inputs, inputs, lines, arranged.data() + r * room);
    const auto share = [&](int64_t begin, int64_t end) { level.multiply(matrix, arranged.data(), rows, out.data(), outputs, begin, end); };
    if (threads == 1 || blocks * skinny::kRows * room * static_cast<int64_t>(sizeof(T)) < kAlone) return share(0, blocks);
    const int shares = threads * kShares;
    in_threads(threads, shares, [&](int i) { share(blocks * i / shares, blocks * (i + 1) / shares); });
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    nb::class_<skinny::Level>(m, "Level").def_prop_ro("name", [](const skinny::Level& level) { return level.name; });
    m.def("level", &skinny::level_named, nb::arg("name"), nb::rv_policy::reference, "A dispatch level, the fastest one for `auto`.");
    m.attr("ROWS") = skinny::kRows;
    m.attr("LINE") = skinny::kLine;
    const char* about =
        "out (rows, outputs) = x (rows, inputs) @ weights (outputs, inputs).T, which are laid out (blocks, lines, ROWS, LINE); uint16 are the "
        "bits of bfloat16, int16 of float16.";
    const auto define = [&](auto* function) {
        m.def("multiply", function, nb::arg("level"), nb::arg("weights").noconvert(), nb::arg("x").noconvert(), nb::arg("out").noconvert(),
              nb::arg("scales").none(), nb::arg("threads"), about);
    };
    define(&multiply<float, skinny::Type::float32>);
    define(&multiply<uint16_t, skinny::Type::bfloat16>);
    define(&multiply<int16_t, skinny::Type::float16>);
    define(&multiply<int8_t, skinny::Type::int8>);
}
