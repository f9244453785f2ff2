// SPDX-License-Identifier: Apache-2.0
// The NEON tier with bf16 (BFDOT): bf16 hidden states meet 4-bit codes that a table turns into
// bf16; products are exact, sums fp32. Activations are packed by the NEON tier. The instruction
// reads denormals as 0 and flushes its own.
#include "cpu/gemm.h"
#include "cpu/tiers.h"
#include "cpu/vector_neon.h"

namespace mmoe::cpu {
namespace {

// code - 8 as bf16: the low bytes of all codes, then the high bytes.
alignas(16) constexpr uint8_t kCentredBytes[32] = {
    0x00, 0xE0, 0xC0, 0xA0, 0x80, 0x40, 0x00, 0x80, 0x00, 0x80, 0x00, 0x40, 0x80, 0xA0, 0xC0, 0xE0,
    0xC1, 0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0xC0, 0xBF, 0x00, 0x3F, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40,
};

struct GemmBfdot {
    using Vector = Neon;
    using Input = uint16_t;
    using F32 = float32x4_t;
    static constexpr int kBits = 4;
    static constexpr bool kScaled = false;
    static constexpr int kTileInputs = 8;

    // Inputs 2 * Pair and 2 * Pair + 1 of four lanes' words.
    template <int Pair>
    static bfloat16x8_t centred_pairs(uint8x16_t words, uint8x16x2_t table) {
        uint16x8_t halves = vreinterpretq_u16_u8(words);
        if constexpr (Pair != 0) halves = vshrq_n_u16(halves, 4 * Pair);
        halves = vandq_u16(halves, vdupq_n_u16(0x000F));
        // The code picks the low byte, and 16 + code the high one.
        const uint16x8_t index = vorrq_u16(vsliq_n_u16(halves, halves, 8), vdupq_n_u16(0x1000));
        return vreinterpretq_bf16_u8(vqtbl2q_u8(table, vreinterpretq_u8_u16(index)));
    }

    template <int Pair, int Tokens, int Vectors>
    [[gnu::always_inline]] static void add_pair(const uint8x16_t (&words)[Vectors],
                                                uint8x16x2_t table, const bfloat16x8_t (&x)[Tokens],
                                                F32 (&sums)[Vectors][Tokens]) {
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            const bfloat16x8_t codes = centred_pairs<Pair>(words[v], table);
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                sums[v][t] = vbfdotq_laneq_f32(sums[v][t], codes, x[t], Pair);
            }
        }
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<uint16_t, Tokens>& pass,
                                           F32 (&sums)[Vectors][Tokens]) {
        const uint8x16x2_t table = {{vld1q_u8(kCentredBytes), vld1q_u8(kCentredBytes + 16)}};
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) sums[v][t] = vdupq_n_f32(0);
        }
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words_at = pass.tiles + tile * kTileBytes;
            fetch_tile<Vectors * Neon::kWidth * 4>(pass, tile);
            uint8x16_t words[Vectors];
            MMOE_UNROLL
            for (int v = 0; v < Vectors; ++v) words[v] = vld1q_u8(words_at + v * 16);
            bfloat16x8_t x[Tokens];
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                x[t] = vreinterpretq_bf16_u16(vld1q_u16(pass.x[t] + tile * kTileInputs));
            }
            add_pair<0>(words, table, x, sums);
            add_pair<1>(words, table, x, sums);
            add_pair<2>(words, table, x, sums);
            add_pair<3>(words, table, x, sums);
        }
    }
};

}  // namespace

namespace neonbf16 {

void multiply_bf16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmBfdot>(tokens, args);
}

}  // namespace neonbf16
}  // namespace mmoe::cpu
