// SPDX-License-Identifier: Apache-2.0
#include "cuda/prefill_instances.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill_f16_int8() noexcept {
    static constexpr Row kRows[] = {
        prefill_row<F16, 8, PrefillWide>("moe_gemm.f16.int8.n256m128k128.sm90a"),
        prefill_row<F16, 8, PrefillWideFine>("moe_gemm.f16.int8.n256m128k128g32.sm90a"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
