// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "peak.h"

namespace mmoe_tool {
namespace {

struct Fma {
    using Vector = __m256;
    static Vector add(Vector sum, Vector a, Vector b) { return _mm256_fmadd_ps(a, b, sum); }
};

void run(int64_t steps) {
    run_peak_loop<Fma>(steps, _mm256_setzero_ps(), _mm256_setzero_ps());
}

}  // namespace

const PeakLoop kPeakAvx2 = {run, kPeakSums * 8 * 2, "vfmadd231ps ymm"};

}  // namespace mmoe_tool
