// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_instances.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_bf16_int4() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<Bf16, 4, PrefillThin>("moe_gemm.bf16.int4.n512m32k128.sm90a"),
        prefill_row<Bf16, 4, PrefillNarrow>("moe_gemm.bf16.int4.n512m64k128.sm90a"),
        prefill_row<Bf16, 4, PrefillWide>("moe_gemm.bf16.int4.n256m128k128.sm90a"),
        prefill_row<Bf16, 4, PrefillWidest>("moe_gemm.bf16.int4.n256m160k128.sm90a"),
        prefill_row<Bf16, 4, PrefillWideFine>("moe_gemm.bf16.int4.n256m128k128g32.sm90a"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
