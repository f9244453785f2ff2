// SPDX-License-Identifier: Apache-2.0
#include "peak.h"

namespace mmoe_tool {
namespace {

// Four floats a vector: what every 64-bit processor has. The product is with the sum, as one of
// the operands alone would leave the loop.
struct Portable {
    typedef float Vector __attribute__((vector_size(16)));
    static Vector add(Vector sum, Vector a, Vector b) { return sum * a + b; }
};

void run(int64_t steps) {
    run_peak_loop<Portable>(steps, Portable::Vector{}, Portable::Vector{});
}

}  // namespace

const PeakLoop kPeakPortable = {run, kPeakSums * 4 * 2, "fp32 multiply and add, 16 bytes"};

const PeakLoop& peak_loop(mmoe_cpu_tier tier) {
#if defined(__x86_64__)
    switch (tier) {
        case MMOE_CPU_TIER_AVX2:
            return kPeakAvx2;
        case MMOE_CPU_TIER_AVX_VNNI:
            return kPeakAvxVnni;
        case MMOE_CPU_TIER_AVX512:
            return kPeakAvx512;
        case MMOE_CPU_TIER_AVX512_BF16:
        case MMOE_CPU_TIER_AMX_BF16:  // tiles serve one of the two GEMMs only
            return kPeakAvx512Bf16;
        default:
            break;
    }
#else
    (void)tier;
#endif
    return kPeakPortable;
}

}  // namespace mmoe_tool
