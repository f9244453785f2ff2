// SPDX-License-Identifier: Apache-2.0
// The CPU records: how one linear layer of one expert lies in memory for every CPU kernel.
//
//   matrix  = [blocks of 64 outputs][groups] records, one after another: the kernel that owns a
//             block reads one linear stream.
//   record  = scales     [64] in the scale type
//             zero points [64] u8, only if asymmetric
//             tiles      [tiles_per_group] of 256 bytes
//   tile    = 64 lanes (outputs) of one 32-bit word; a word holds 8 (4-bit) or 4 (8-bit)
//             consecutive inputs: even inputs in the low half, odd ones in the high half, so
//             that a shift and a mask give pairs (k, k+1) as 16-bit halves.
//
// Groups are padded to whole tiles, and outputs to whole blocks: padded scales are 0, padded
// codes are 0 and meet zero activations. In a gated pair, block b holds gate outputs 32b..32b+31
// in lanes 0..31 and up outputs 32b..32b+31 in lanes 32..63, so that the activation function
// finds both in one result. Every piece starts on a multiple of 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "layout/number.h"

namespace mmoe::layout {

inline constexpr int kLanes = 64;              // outputs of one block
inline constexpr int kHalfLanes = kLanes / 2;  // gate (or up) outputs of one gated block
inline constexpr int kTileBytes = kLanes * 4;

// Geometry of one matrix, or of a gated pair of them. Sizes and counts are elements.
struct CpuRecordPlan {
    int64_t outputs = 0;     // N of one projection
    int64_t inputs = 0;      // K
    int64_t group_size = 0;  // K if there is one scale a channel; divides K
    int bits = 4;            // 4 or 8
    bool asymmetric = false;
    bool gated_pair = false;
    ScaleType scale_type = ScaleType::kBf16;

    [[nodiscard]] constexpr int inputs_per_tile() const noexcept { return 32 / bits; }
    [[nodiscard]] constexpr int64_t groups() const noexcept { return inputs / group_size; }
    [[nodiscard]] constexpr int64_t tiles_per_group() const noexcept {
        return (group_size + inputs_per_tile() - 1) / inputs_per_tile();
    }
    // Inputs of one group, padded to whole tiles; activations are laid out alike.
    [[nodiscard]] constexpr int64_t padded_group() const noexcept {
        return tiles_per_group() * inputs_per_tile();
    }
    [[nodiscard]] constexpr int64_t padded_inputs() const noexcept {
        return groups() * padded_group();
    }
    [[nodiscard]] constexpr int64_t outputs_per_block() const noexcept {
        return gated_pair ? kHalfLanes : kLanes;
    }
    [[nodiscard]] constexpr int64_t blocks() const noexcept {
        return (outputs + outputs_per_block() - 1) / outputs_per_block();
    }
    [[nodiscard]] constexpr int64_t padded_outputs() const noexcept {
        return blocks() * outputs_per_block();
    }
    [[nodiscard]] constexpr int64_t zero_point_offset_bytes() const noexcept {
        return int64_t{kLanes} * scale_bytes(scale_type);
    }
    [[nodiscard]] constexpr int64_t tile_offset_bytes() const noexcept {
        return zero_point_offset_bytes() + (asymmetric ? kLanes : 0);
    }
    [[nodiscard]] constexpr int64_t record_bytes() const noexcept {
        return tile_offset_bytes() + tiles_per_group() * kTileBytes;
    }
    [[nodiscard]] constexpr int64_t block_bytes() const noexcept {
        return groups() * record_bytes();
    }
    [[nodiscard]] constexpr int64_t matrix_bytes() const noexcept {
        return blocks() * block_bytes();
    }

    [[nodiscard]] constexpr bool operator==(const CpuRecordPlan&) const noexcept = default;
};

// Bit position in a lane's word of input k of a tile (0 <= k < inputs_per_tile).
[[nodiscard]] constexpr int cpu_code_shift(int k, int bits) noexcept {
    return (k % 2) * 16 + (k / 2) * bits;
}

namespace detail {

// Swaps the bits under `mask` with those `distance` above them.
template <class Word>
[[nodiscard]] constexpr Word swap_bits(Word word, Word mask, int distance) noexcept {
    const Word different = (word ^ (word >> distance)) & mask;
    return word ^ different ^ (different << distance);
}

}  // namespace detail

// One word of dense codes (input k at bit k * bits) as a lane's word, and back.
[[nodiscard]] constexpr uint32_t cpu_record_word(uint32_t dense, int bits) noexcept {
    if (bits == 4) dense = detail::swap_bits(dense, 0x00F000F0u, 4);  // inputs 0 2 1 3, 4 6 5 7
    return detail::swap_bits(dense, 0x0000FF00u, 8);                  // inputs 0 2 4 6, 1 3 5 7
}
[[nodiscard]] constexpr uint32_t cpu_dense_word(uint32_t word, int bits) noexcept {
    word = detail::swap_bits(word, 0x0000FF00u, 8);
    return bits == 4 ? detail::swap_bits(word, 0x00F000F0u, 4) : word;
}

// Eight consecutive inputs, one a byte, in the order in which the bytes of a word meet them: for
// 4-bit codes those under 0x0F0F0F0F, then those of the word shifted right by 4; for 8-bit codes
// those of two words.
[[nodiscard]] constexpr uint64_t cpu_byte_order(uint64_t inputs, int bits) noexcept {
    if (bits == 4) inputs = detail::swap_bits(inputs, uint64_t{0xFFFF0000}, 16);
    return detail::swap_bits(inputs, uint64_t{0x0000FF000000FF00}, 8);  // 0 4 1 5 2 6 3 7, 0 2 1 3
}

// Lane of a block that holds an output; `up` selects the second matrix of a gated pair.
struct CpuLane {
    int64_t block;
    int lane;
};
[[nodiscard]] constexpr CpuLane cpu_lane(const CpuRecordPlan& plan, int64_t output,
                                         bool up) noexcept {
    const int64_t per_block = plan.outputs_per_block();
    return {output / per_block, static_cast<int>(output % per_block) + (up ? kHalfLanes : 0)};
}

namespace detail {

// The words agree with cpu_code_shift(), code by code.
[[nodiscard]] constexpr bool cpu_words_agree(int bits) noexcept {
    const uint32_t mask = (1u << bits) - 1;
    for (int k = 0; k < 32 / bits; ++k) {
        const uint32_t dense = mask << (k * bits);
        const uint32_t word = mask << cpu_code_shift(k, bits);
        if (cpu_record_word(dense, bits) != word || cpu_dense_word(word, bits) != dense)
            return false;
    }
    return true;
}

// Byte i of the ordered inputs is the input whose code stands at byte i of the words.
[[nodiscard]] constexpr bool cpu_bytes_agree(int bits) noexcept {
    const uint64_t ordered = cpu_byte_order(0x0706050403020100, bits);
    for (int i = 0; i < 8; ++i) {
        const int input = static_cast<int>(ordered >> (8 * i) & 0xFF);
        const int code = bits == 4 ? input : input - i / 4 * 4;  // within its tile
        const int shift = i % 4 * 8 + (bits == 4 ? i / 4 * 4 : 0);
        if (cpu_code_shift(code, bits) != shift) return false;
    }
    return true;
}

}  // namespace detail

static_assert(detail::cpu_words_agree(4) && detail::cpu_words_agree(8));
static_assert(detail::cpu_bytes_agree(4) && detail::cpu_bytes_agree(8));
static_assert(CpuRecordPlan{.outputs = 64, .inputs = 128, .group_size = 128}.record_bytes() ==
              128 + 16 * 256);

}  // namespace mmoe::layout
