// SPDX-License-Identifier: Apache-2.0
// AMX, one instruction a function. The compilers' own functions (gcc 12) do not tell that they read
// and write memory.
#pragma once

#include <cstdint>

namespace mmoe::cpu {
namespace {

constexpr int kAmxRows = 16;      // of a tile, at most
constexpr int kAmxRowBytes = 64;  // at most

// What ldtilecfg reads: rows and bytes of a row of each tile register.
struct alignas(64) AmxShapes {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(AmxShapes) == 64);

inline void amx_configure(const AmxShapes& shapes) {
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}
inline void amx_release() {
    __asm__ volatile("tilerelease");
}
template <int Tile>
inline void amx_zero() {
    __asm__ volatile("tilezero %%tmm%c0" : : "i"(Tile));
}
// Rows that follow each other in memory.
template <int Tile>
inline void amx_load(const void* from) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2"
                     :
                     : "r"(from), "r"(int64_t{kAmxRowBytes}), "i"(Tile)
                     : "memory");
}
template <int Tile>
inline void amx_store(void* to) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)"
                     :
                     : "r"(to), "r"(int64_t{kAmxRowBytes}), "i"(Tile)
                     : "memory");
}
// Sums [m][n] f32 += A [m][32] bf16 * B [16][n] pairs of bf16.
template <int Sums, int A, int B>
inline void amx_dot_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
}
// Sums [m][n] i32 += A [m][64] bytes, signed or not, * B [16][n] fours of unsigned bytes.
template <int Sums, int A, int B>
inline void amx_dot_signed() {
    __asm__ volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
}
template <int Sums, int A, int B>
inline void amx_dot_unsigned() {
    __asm__ volatile("tdpbuud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(Sums), "i"(A), "i"(B));
}

}  // namespace
}  // namespace mmoe::cpu
