// SPDX-License-Identifier: Apache-2.0
// 32-bit elements by the register and by the cache line, as bits. Compilers lower it on every
// target, so that code which moves fields about needs no instruction set of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mmoe {

using Four [[gnu::vector_size(16)]] = uint32_t;

[[nodiscard]] inline Four load_four(const void* from) noexcept {
    Four four;
    std::memcpy(&four, from, sizeof four);
    return four;
}
inline void store_four(const Four& four, void* to) noexcept {
    std::memcpy(to, &four, sizeof four);
}

// out[column][row] = in[row][column] of 4 x 4 elements.
inline void transpose_four(const Four (&in)[4], Four (&out)[4]) noexcept {
    const Four low_01 = __builtin_shufflevector(in[0], in[1], 0, 4, 1, 5);
    const Four low_23 = __builtin_shufflevector(in[2], in[3], 0, 4, 1, 5);
    const Four high_01 = __builtin_shufflevector(in[0], in[1], 2, 6, 3, 7);
    const Four high_23 = __builtin_shufflevector(in[2], in[3], 2, 6, 3, 7);
    out[0] = __builtin_shufflevector(low_01, low_23, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(low_01, low_23, 2, 3, 6, 7);
    out[2] = __builtin_shufflevector(high_01, high_23, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(high_01, high_23, 2, 3, 6, 7);
}

inline constexpr int kLineWords = 16;  // 32-bit elements of one cache line

// At most a line. Nearly always it is a whole one, and a copy of known size needs no call.
inline void copy_line(const void* from, int64_t count, void* to) noexcept {
    if (count == kLineWords) {
        std::memcpy(to, from, sizeof(uint32_t) * kLineWords);
    } else {
        std::memcpy(to, from, sizeof(uint32_t) * static_cast<size_t>(count));
    }
}

}  // namespace mmoe
