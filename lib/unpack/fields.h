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

}  // namespace mmoe
