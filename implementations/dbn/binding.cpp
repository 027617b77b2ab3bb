// Python's door to the decoders: checks shapes, copies densities into padded columns, releases the GIL, runs bar lengths on threads.
#include "by_level.hpp"
#include "decoder.hpp"
#include "threads.hpp"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace nb = nanobind;

namespace dbn {
TABLE_BY_LEVEL(exact_kernel, ExactKernel, exact)
TABLE_BY_LEVEL(fixed_kernel, FixedKernel, fixed)
}  // namespace dbn

namespace {

template <class T>
using Vector = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <class T>
using Matrix = nb::ndarray<const T, nb::ndim<2>, nb::c_contig, nb::device::cpu>;

// intervals (tempi), heads (beats, tempi), log_transitions (tempi, tempi), sources (tempi, 2), log_initial
using Tables = std::tuple<Vector<int32_t>, Matrix<int32_t>, Matrix<double>, Matrix<int32_t>, double>;
using Path = nb::ndarray<nb::numpy, uint32_t, nb::ndim<1>>;

dbn::Method method(const std::string& first) {
    if (first == "fixed32") return dbn::Method::fixed32;
    if (first == "fixed64") return dbn::Method::fixed64;
    if (first == "exact") return dbn::Method::exact;
    throw std::invalid_argument("method: expected fixed32, fixed64 or exact, found '" + first + "'");
}

dbn::Model model(const Tables& tables) {
    const auto& [intervals, heads, log_transitions, sources, log_initial] = tables;
    const size_t tempi = intervals.shape(0), beats = heads.shape(0);
    if (tempi == 0 || tempi > 65535 || beats == 0 || heads.shape(1) != tempi || log_transitions.shape(0) != tempi ||
        log_transitions.shape(1) != tempi || sources.shape(0) != tempi || sources.shape(1) != 2)
        throw std::invalid_argument("model: expected intervals (tempi,), heads (beats, tempi), log_transitions (tempi, tempi), "
                                    "sources (tempi, 2)");
    for (size_t i = 0; i < tempi; ++i) {
        if (intervals(i) < 1) throw std::invalid_argument("model: expected intervals of at least 1 frame");
        if (sources(i, 0) < 0 || sources(i, 1) > static_cast<int32_t>(tempi))
            throw std::invalid_argument("model: sources outside of the tempi");
        for (size_t b = 0; b < beats; ++b)
            if (heads(b, i) < 1 || heads(b, i) > intervals(i)) throw std::invalid_argument("model: expected heads from 1 to the interval");
    }
    const auto [shortest, longest] = std::minmax_element(intervals.data(), intervals.data() + tempi);
    return dbn::Model{static_cast<int>(beats), static_cast<int>(tempi), *shortest, *longest, intervals.data(), heads.data(),
                      log_transitions.data(), sources.data(), log_initial};
}

// madmom's number of the state in each frame.
void write_path(const dbn::Model& model, const dbn::Decoded& decoded, int64_t frames, uint32_t* path) {
    std::vector<int64_t> first(model.tempi + 1, 0);
    for (int i = 0; i < model.tempi; ++i) first[i + 1] = first[i] + model.intervals[i];
    int64_t end = frames;
    for (const dbn::Entry& entry : decoded.entries) {
        const int64_t state = entry.beat * first[model.tempi] + first[entry.tempo] - entry.frame;
        for (int64_t t = std::max<int64_t>(entry.frame, 0); t < end; ++t) path[t] = static_cast<uint32_t>(state + t);
        end = entry.frame;
    }
}

Path to_numpy(uint32_t* data, size_t size) {
    nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint32_t*>(p); });
    return Path(data, {size}, owner);
}

// For each model: path, log-probability, and the method that gave it.
std::vector<std::tuple<Path, double, std::string>> decode(const Matrix<double>& densities, const std::vector<Tables>& tables, int threads,
                                                          const std::string& level, const std::string& first) {
    if (densities.shape(1) != 3)
        throw std::invalid_argument("densities: expected shape (frames, 3), found (frames, " + std::to_string(densities.shape(1)) + ")");
    if (threads < 1) throw std::invalid_argument("threads: expected at least 1, found " + std::to_string(threads));
    const dbn::Kernel kernels{dbn::exact_kernel(level), dbn::fixed_kernel(level)};
    const dbn::Method from = method(first);
    std::vector<dbn::Model> models;
    for (const auto& table : tables) models.push_back(model(table));
    const int64_t frames = static_cast<int64_t>(densities.shape(0));
    const double* rows = densities.data();

    std::vector<dbn::Decoded> decoded(models.size());
    std::vector<std::unique_ptr<uint32_t[]>> paths(models.size());
    {
        nb::gil_scoped_release release;
        int longest = 1;
        for (const auto& m : models) longest = std::max(longest, m.longest);
        const int64_t padding = longest + dbn::EXACT_BLOCK, size = frames + 2 * padding;
        std::vector<double> columns(3 * size, 0.0);
        dbn::Densities by_class{frames, {}};
        for (int c = 0; c < 3; ++c) {
            double* column = columns.data() + c * size + padding;
            for (int64_t t = 0; t < frames; ++t) column[t] = rows[3 * t + c];
            by_class.by_class[c] = column;
        }
        std::vector<int> order(models.size());  // largest first, so that no thread is left with a large one at the end
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return dbn::chains(models[a]) > dbn::chains(models[b]); });
        ThreadPool(std::min<int>(threads, static_cast<int>(models.size()))).run(static_cast<int>(models.size()), [&](int place) {
            const int i = order[place];
            decoded[i] = dbn::decode(kernels, models[i], by_class, from);
            const int64_t length = decoded[i].entries.empty() ? 0 : frames;
            paths[i].reset(new uint32_t[length]);
            write_path(models[i], decoded[i], length, paths[i].get());
        });
    }
    std::vector<std::tuple<Path, double, std::string>> results;
    for (size_t i = 0; i < models.size(); ++i) {
        const size_t length = decoded[i].entries.empty() ? 0 : static_cast<size_t>(frames);
        results.emplace_back(to_numpy(paths[i].release(), length), decoded[i].log_probability, decoded[i].method);
    }
    return results;
}

}  // namespace

NB_MODULE(_native, m) {
    m.attr("SOURCE_HASH") = SOURCE_HASH;
    m.attr("SOURCE_LIST") = SOURCE_LIST;
    m.def("levels", &dispatch::levels, "Dispatch levels that can run here, fastest first.");
    m.def("decode", &decode, nb::arg("densities"), nb::arg("models"), nb::kw_only(), nb::arg("threads"), nb::arg("level"),
          nb::arg("method"));
}
