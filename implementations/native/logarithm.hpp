// log10 of a register of floats.
#pragma once

#include "simd.hpp"

namespace LEVEL {

// log10(x) for normal x > 0, within two units in the last place.
inline VecF log10_of(VecF x) {
    const VecI bits = (VecI)x - 0x3f3504f3;  // mantissa in [sqrt(1/2), sqrt(2))
    const VecI exponent = bits >> 23;
    const VecF f = (VecF)((VecI)x - (exponent << 23)) - same<VecF>(1.0f);
    const VecF e = __builtin_convertvector(exponent, VecF);
    static const float c[] = {-3.309807181e-02f, 5.604422465e-02f,  -5.751562491e-02f, 6.159092858e-02f,  -7.213202864e-02f,
                                8.686744422e-02f,  -1.085805073e-01f, 1.447647959e-01f, -2.171471864e-01f, 4.342944920e-01f};
    VecF p = same<VecF>(c[0]);
    for (unsigned i = 1; i < sizeof c / sizeof *c; ++i) p = fma(p, f, same<VecF>(c[i]));
    // log10(2) in two parts; the first has few bits, so that its product with the exponent is exact
    return fma(e, same<VecF>(0x1.344p-2f), fma(p, f, e * same<VecF>(4.6050389812e-06f)));
}

}  // namespace LEVEL
