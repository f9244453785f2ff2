// SPDX-License-Identifier: Apache-2.0
// The decode rows that multiply f16 activations.
#include "cuda/decode_launch.h"
#include "cuda/decode_rows.h"

namespace mmoe::cuda {

std::span<const Row> decode_rows_f16() noexcept {
    static constexpr Row kRows[] = {
        decode_row<DecodeType<F16, 4, 8>>("moe_decode.f16.int4.n128m8k128.sm90"),
        decode_row<DecodeType<F16, 4, 2>>("moe_decode.f16.int4.n128m8k32.sm90"),
        decode_row<DecodeType<F16, 8, 4>>("moe_decode.f16.int8.n128m8k64.sm90"),
        decode_row<DecodeType<F16, 8, 2>>("moe_decode.f16.int8.n128m8k32.sm90"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
