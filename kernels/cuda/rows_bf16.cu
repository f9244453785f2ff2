// SPDX-License-Identifier: Apache-2.0
// The rows that multiply bf16 activations.
#include "cuda/rows.h"

namespace mmoe::cuda {

std::span<const Row> rows_bf16() noexcept {
    static constexpr Row kRows[] = {
        general_row<ScaledTile<Bf16, 4>>("moe_gemm.bf16.int4.n256m64k64.sm80"),
        general_row<ExactTile<Bf16, 4, 8>>("moe_gemm.bf16.int4.n128m8k128.sm80"),
        general_row<ExactTile<Bf16, 4, 16>>("moe_gemm.bf16.int4.n128m16k64.sm80"),
        general_row<ExactTile<Bf16, 4, 32>>("moe_gemm.bf16.int4.n128m32k64.sm80"),
        general_row<ExactTile<Bf16, 4, 64>>("moe_gemm.bf16.int4.n128m64k64.sm80"),
        general_row<ScaledTile<Bf16, 8>>("moe_gemm.bf16.int8.n256m64k64.sm80"),
        general_row<ExactTile<Bf16, 8, 8>>("moe_gemm.bf16.int8.n128m8k128.sm80"),
        general_row<ExactTile<Bf16, 8, 16>>("moe_gemm.bf16.int8.n128m16k64.sm80"),
        general_row<ExactTile<Bf16, 8, 32>>("moe_gemm.bf16.int8.n128m32k64.sm80"),
        general_row<ExactTile<Bf16, 8, 64>>("moe_gemm.bf16.int8.n128m64k64.sm80"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
