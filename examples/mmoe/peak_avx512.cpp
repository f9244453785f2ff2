// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "peak.h"

namespace mmoe_tool {
namespace {

struct Int16 {
    using Vector = __m512i;
    static Vector add(Vector sum, Vector a, Vector b) { return _mm512_dpwssd_epi32(sum, a, b); }
};

void run(int64_t steps) {
    run_peak_loop<Int16>(steps, _mm512_setzero_si512(), _mm512_setzero_si512());
}

}  // namespace

const PeakLoop kPeakAvx512 = {run, kPeakSums * 32 * 2, "vpdpwssd zmm"};

}  // namespace mmoe_tool
