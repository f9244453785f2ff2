// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_rows.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_f16_int8() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<F16, 8, PrefillWide>("moe_gemm.f16.int8.n256m128k128.sm90a", kPrefillMeanTokens,
                                         INT32_MAX),
    };
    return kRows;
}

}  // namespace mmoe::cuda
