// SPDX-License-Identifier: Apache-2.0
// The decode rows that multiply bf16 activations.
#include "cuda/decode_launch.h"
#include "cuda/decode_rows.h"

namespace mmoe::cuda {

std::span<const Row> decode_rows_bf16() noexcept {
    static constexpr Row kRows[] = {
        decode_row<DecodeType<Bf16, 4, 8>>("moe_decode.bf16.int4.n128m8k128.sm90"),
        decode_row<DecodeType<Bf16, 4, 2>>("moe_decode.bf16.int4.n128m8k32.sm90"),
        decode_row<DecodeType<Bf16, 8, 4>>("moe_decode.bf16.int8.n128m8k64.sm90"),
        decode_row<DecodeType<Bf16, 8, 2>>("moe_decode.bf16.int8.n128m8k32.sm90"),
    };
    return kRows;
}

}  // namespace mmoe::cuda
