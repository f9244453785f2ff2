// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "peak.h"

namespace mmoe_tool {
namespace {

struct Int16 {
    using Vector = __m256i;
    static Vector add(Vector sum, Vector a, Vector b) { return _mm256_dpwssd_avx_epi32(sum, a, b); }
};

void run(int64_t steps) {
    run_peak_loop<Int16>(steps, _mm256_setzero_si256(), _mm256_setzero_si256());
}

}  // namespace

const PeakLoop kPeakAvxVnni = {run, kPeakSums * 16 * 2, "vpdpwssd ymm"};

}  // namespace mmoe_tool
