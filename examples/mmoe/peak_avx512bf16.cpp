// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "peak.h"

namespace mmoe_tool {
namespace {

struct Bf16 {
    using Vector = __m512;
    static Vector add(Vector sum, Vector a, Vector b) {
        return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
    }
};

void run(int64_t steps) {
    run_peak_loop<Bf16>(steps, _mm512_setzero_ps(), _mm512_setzero_ps());
}

}  // namespace

const PeakLoop kPeakAvx512Bf16 = {run, kPeakSums * 32 * 2, "vdpbf16ps zmm"};

}  // namespace mmoe_tool
