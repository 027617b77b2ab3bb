#include "by_level.hpp"
#include "kernel.hpp"
#include "threads.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <stdexcept>
#include <string>

namespace nb = nanobind;

namespace limits {
TABLE_BY_LEVEL(kernel, Read, read)
}  // namespace limits

namespace {

// Each thread reads its own equal part of the buffer, `passes` times.
uint64_t read_all(nb::ndarray<const uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> buffer, int passes, int threads, const std::string& level) {
    if (passes < 1 || threads < 1) throw std::invalid_argument("expected at least 1 pass and 1 thread");
    const Read kernel = limits::kernel(level);
    const uint64_t* data = buffer.data();
    const size_t part = buffer.shape(0) / static_cast<size_t>(threads);
    nb::gil_scoped_release release;
    std::atomic<uint64_t> total{0};
    ThreadPool(threads).run(threads, [&](int i) { total += kernel(data + part * static_cast<size_t>(i), part, static_cast<size_t>(passes)); });
    return total;
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    m.def("read", &read_all, nb::arg("buffer"), nb::kw_only(), nb::arg("passes"), nb::arg("threads"), nb::arg("level") = "auto",
          "The sum of a buffer of uint64, each thread reading its part of it `passes` times.");
}
