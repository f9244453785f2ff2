// SPDX-License-Identifier: Apache-2.0
// Inside of room unpack: the stored forms of zero points.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "checkpoint/quant_config.h"
#include "checkpoint/tensor.h"

namespace mmoe {

// Refuses stored values that no zero point can have, values that two zero points share, and in a
// symmetric layer values other than 2^(bits-1). Shape and type have been checked. Sentences count
// outputs from `first_output`.
Status check_zero_points(const QuantConfig& config, const TensorView& zero_point,
                         int64_t first_output);

// A word of packed zero points whose fields are the true values.
[[nodiscard]] constexpr uint32_t true_zero_points(uint32_t stored, ZeroPointForm form,
                                                  int bits) noexcept {
    const uint32_t ones = bits == 4 ? 0x11111111u : 0x01010101u;
    if (form == ZeroPointForm::kMinusOneWord) return stored + ones;  // borrows come back
    if (form != ZeroPointForm::kMinusOne) return stored;
    // Field by field: add to the lower bits of each field, then mend its top bit.
    const uint32_t top = ones << (bits - 1);
    return ((stored & ~top) + ones) ^ (stored & top);
}

// And back. Under kMinusOne no field may be 0, so that nothing is borrowed.
[[nodiscard]] constexpr uint32_t stored_zero_points(uint32_t word, ZeroPointForm form,
                                                    int bits) noexcept {
    const uint32_t ones = bits == 4 ? 0x11111111u : 0x01010101u;
    const bool less_one = form == ZeroPointForm::kMinusOne || form == ZeroPointForm::kMinusOneWord;
    return less_one ? word - ones : word;
}

static_assert(stored_zero_points(0, ZeroPointForm::kMinusOneWord, 4) == 0xEEEEEEEF);
static_assert(true_zero_points(0x77777777, ZeroPointForm::kMinusOne, 4) == 0x88888888);
static_assert(true_zero_points(0x0EF7FEDF, ZeroPointForm::kMinusOne, 4) == 0x1F080FE0);
static_assert(true_zero_points(0x7FFF00FE, ZeroPointForm::kMinusOne, 8) == 0x800001FF);
static_assert(true_zero_points(0xEEEEEEEF, ZeroPointForm::kMinusOneWord, 4) == 0);

}  // namespace mmoe
