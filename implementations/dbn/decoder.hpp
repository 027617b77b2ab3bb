// The best path through one bar length, equal to madmom's in every state, and its log-probability in every bit.
#pragma once

#include "exact.hpp"
#include "fixed.hpp"

namespace dbn {

// Of one dispatch level.
struct Kernel {
    const ExactKernel& exact;
    const FixedKernel& fixed;
};

enum class Method { fixed32, fixed64, exact };

// Tries the methods from `first` on, each slower than the one before, until one is certain: fixed point is not for ties, for
// densities without any possible path, and for scores out of range.
inline Decoded decode(const Kernel& kernel, const Model& model, const Densities& densities, Method first) {
    if (densities.frames == 0) return Decoded{{}, model.log_initial, "exact"};
    if (first == Method::fixed32) {
        FixedDecoder<int32_t> decoder(model, densities, kernel.fixed.small);
        if (auto decoded = decoder.decode()) return *std::move(decoded);
        if (decoder.looks_like_a_tie()) first = Method::exact;
    }
    if (first != Method::exact && kernel.fixed.large.run != nullptr) {
        FixedDecoder<int64_t> decoder(model, densities, kernel.fixed.large);
        if (auto decoded = decoder.decode()) return *std::move(decoded);
    }
    return decode_exact(model, densities, kernel.exact);
}

}  // namespace dbn
