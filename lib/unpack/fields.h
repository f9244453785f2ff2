// SPDX-License-Identifier: Apache-2.0
// Fields of packed words: field i of a word holds bits [bits * i, bits * i + bits).
#pragma once

#include <cstdint>

namespace mmoe {

[[nodiscard]] constexpr uint32_t field_mask(int bits) noexcept {
    return (1u << bits) - 1;
}

[[nodiscard]] constexpr uint32_t field(uint32_t word, int index, int bits) noexcept {
    return (word >> (bits * index)) & field_mask(bits);
}

// The zero point of symmetric codes.
[[nodiscard]] constexpr uint32_t middle_code(int bits) noexcept {
    return 1u << (bits - 1);
}

// AWQ: columns 0, 2, 4, 6, 1, 3, 5, 7 of a word lie in fields 0 to 7 (8 bits: 0, 2, 1, 3 in 0 to
// 3).
[[nodiscard]] constexpr int awq_field(int column, int bits) noexcept {
    return column / 2 + (column % 2) * (16 / bits);
}
static_assert(awq_field(1, 4) == 4 && awq_field(6, 4) == 3 && awq_field(7, 4) == 7);
static_assert(awq_field(1, 8) == 2 && awq_field(2, 8) == 1 && awq_field(3, 8) == 3);

}  // namespace mmoe
