// SPDX-License-Identifier: Apache-2.0
// Kernel of 8-bit fixed point rows: four codes, unsigned bytes, meet four activations, signed
// bytes in the order of layout::cpu_byte_order(), in 32-bit integers.
#pragma once

#include "cpu/gemm_fixed.h"

namespace mmoe::cpu {
namespace {

template <class V, int Bits>
struct GemmInt8 {
    using Vector = V;
    using Input = int8_t;
    using F32 = typename V::F32;
    using I32 = typename V::I32;
    static constexpr int kBits = Bits;
    static constexpr bool kScaled = true;
    static constexpr int kTileInputs = 32 / Bits;

    // One tile of one vector of lanes.
    static I32 add_tile(I32 whole, const I32 (&codes)[2], const I32 (&x)[2]) {
        if constexpr (Bits == 8) return V::dot_bytes(whole, codes[0], x[0]);
        return V::dot_nibbles(whole, codes, x);
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<int8_t, Tokens>& pass,
                                           F32 (&sums)[Vectors][Tokens]) {
        const I32 nibble = V::set_i(0x0F0F0F0F);
        I32 whole[Vectors][Tokens];
        start_centred<V, Bits>(pass.x_sum, whole);
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words_at = pass.tiles + tile * kTileBytes;
            fetch_tile<Vectors * V::kWidth * 4>(pass, tile);
            I32 codes[Vectors][2];
            MMOE_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                const I32 words = V::load_i(words_at + v * V::kWidth * 4);
                codes[v][0] = Bits == 8 ? words : V::and_i(words, nibble);
                codes[v][1] = V::and_i(V::shift_right_logical(words, 4), nibble);
            }
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                const int8_t* at = pass.x[t] + tile * kTileInputs;
                const I32 x[2] = {broadcast_word<V>(at),
                                  Bits == 8 ? V::zero_i() : broadcast_word<V>(at + 4)};
                MMOE_UNROLL
                for (int v = 0; v < Vectors; ++v) {
                    whole[v][t] = add_tile(whole[v][t], codes[v], x);
                }
            }
        }
        widen_sums<V>(whole, sums);
    }
};

}  // namespace
}  // namespace mmoe::cpu
