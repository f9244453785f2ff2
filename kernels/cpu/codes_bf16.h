// SPDX-License-Identifier: Apache-2.0
// 4-bit codes as bf16 numbers, by a table in a register.
#pragma once

#include "cpu/vector_avx512.h"

namespace mmoe::cpu {
namespace {

// code - 8 as bf16, by the low 4 bits of a 5-bit index.
alignas(64) constexpr uint16_t kCentredCodes[32] = {
    0xC100, 0xC0E0, 0xC0C0, 0xC0A0, 0xC080, 0xC040, 0xC000, 0xBF80,  // -8 .. -1
    0x0000, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0, 0x40C0, 0x40E0,  // 0 .. 7
    0xC100, 0xC0E0, 0xC0C0, 0xC0A0, 0xC080, 0xC040, 0xC000, 0xBF80,
    0x0000, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0, 0x40C0, 0x40E0,
};

// Inputs 2 * pair and 2 * pair + 1 of sixteen lanes' words.
inline __m512i centred_pairs(__m512i words, int pair, __m512i table) {
    const __m512i index = Avx512::shift_right_halves(words, static_cast<unsigned>(4 * pair));
    return _mm512_permutexvar_epi16(index, table);
}

}  // namespace
}  // namespace mmoe::cpu
