// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_instances.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_f16_int4() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<F16, 4, PrefillThin>("moe_gemm.f16.int4.n512m32k128.sm90a"),
        prefill_row<F16, 4, PrefillNarrow>("moe_gemm.f16.int4.n512m64k128.sm90a"),
        prefill_row<F16, 4, PrefillWide>("moe_gemm.f16.int4.n256m128k128.sm90a"),
        prefill_row<F16, 4, PrefillWidest>("moe_gemm.f16.int4.n256m160k128.sm90a"),
        prefill_row<F16, 4, PrefillWideFine>("moe_gemm.f16.int4.n256m128k128g32.sm90a"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
