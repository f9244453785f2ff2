// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_instances.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_bf16_int8() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<Bf16, 8, PrefillWide>("moe_gemm.bf16.int8.n256m128k128.sm90a"),
        prefill_row<Bf16, 8, PrefillWideFine>("moe_gemm.bf16.int8.n256m128k128g32.sm90a"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
