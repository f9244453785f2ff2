// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_rows.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_bf16_int8() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<Bf16, 8, PrefillWide>("moe_gemm.bf16.int8.n256m128k128.sm90a",
                                          kPrefillMeanTokens, INT32_MAX),
    };
    return kRows;
}

}  // namespace mmoe::cuda
