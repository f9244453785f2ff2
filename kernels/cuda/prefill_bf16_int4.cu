// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_rows.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_bf16_int4() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<Bf16, 4, PrefillNarrow>("moe_gemm.bf16.int4.n512m64k128.sm90a",
                                            kPrefillMeanTokens, kWideMeanTokens - 1),
        prefill_row<Bf16, 4, PrefillWide>("moe_gemm.bf16.int4.n256m128k128.sm90a", kWideMeanTokens,
                                          INT32_MAX),
    };
    return kRows;
}

}  // namespace mmoe::cuda
