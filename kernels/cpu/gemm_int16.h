// SPDX-License-Identifier: Apache-2.0
// Kernel of 16-bit fixed point rows: pairs of codes meet pairs of activations in 32-bit integers.
#pragma once

#include "cpu/gemm_fixed.h"

namespace mmoe::cpu {
namespace {

template <class V, int Bits>
struct GemmInt16 {
    using Vector = V;
    using Input = int16_t;
    using F32 = typename V::F32;
    using I32 = typename V::I32;
    static constexpr int kBits = Bits;
    static constexpr bool kScaled = true;
    static constexpr int kTilePairs = 16 / Bits;

    // Inputs 2 * pair and 2 * pair + 1 as unsigned halves.
    static I32 codes(I32 words, int pair) {
        const int shift = pair * Bits;
        if (shift + Bits == 16) return V::shift_right_halves(words, shift);
        const I32 mask = V::set_i(Bits == 4 ? 0x000F000F : 0x00FF00FF);
        return V::and_i(shift == 0 ? words : V::shift_right_halves(words, shift), mask);
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<int16_t, Tokens>& pass,
                                           F32 (&sums)[Vectors][Tokens]) {
        I32 whole[Vectors][Tokens];
        start_centred<V, Bits>(pass.x_sum, whole);
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words_at = pass.tiles + tile * kTileBytes;
            const int64_t input = tile * kTilePairs * 2;
            fetch_tile<Vectors * V::kWidth * 4>(pass, tile);
            MMOE_UNROLL
            for (int pair = 0; pair < kTilePairs; ++pair) {
                I32 pairs[Vectors];
                MMOE_UNROLL
                for (int v = 0; v < Vectors; ++v) {
                    pairs[v] = codes(V::load_i(words_at + v * V::kWidth * 4), pair);
                }
                MMOE_UNROLL
                for (int t = 0; t < Tokens; ++t) {
                    const I32 x = broadcast_word<V>(pass.x[t] + input + 2 * pair);
                    MMOE_UNROLL
                    for (int v = 0; v < Vectors; ++v) {
                        whole[v][t] = V::dot_halves(whole[v][t], pairs[v], x);
                    }
                }
            }
        }
        widen_sums<V>(whole, sums);
    }
};

}  // namespace
}  // namespace mmoe::cpu
