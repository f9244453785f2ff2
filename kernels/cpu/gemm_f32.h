// SPDX-License-Identifier: Apache-2.0
// Kernel of exact rows: codes become fp32 integers and meet unrounded activations.
#pragma once

#include "cpu/gemm.h"

namespace mmoe::cpu {
namespace {

template <class V, int Bits>
struct GemmF32 {
    using Vector = V;
    using Input = float;
    using F32 = typename V::F32;
    static constexpr int kBits = Bits;
    static constexpr bool kScaled = false;
    static constexpr int kTileInputs = 32 / Bits;
    // Flipping the top bit of every code makes it code - 2^(bits-1) in two's complement.
    static constexpr uint32_t kTopBits = Bits == 4 ? 0x88888888 : 0x80808080;

    // Input k of a tile, from flipped words.
    static F32 code(typename V::I32 words, int k) {
        const int above = 32 - Bits - layout::cpu_code_shift(k, Bits);
        return V::to_f32(V::shift_right(V::shift_left(words, above), 32 - Bits));
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<float, Tokens>& pass,
                                           F32 (&sums)[Vectors][Tokens]) {
        const typename V::I32 top_bits = V::set_i(static_cast<int32_t>(kTopBits));
        MMOE_UNROLL
        for (auto& row : sums) {
            MMOE_UNROLL
            for (F32& sum : row) sum = V::zero();
        }
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words_at = pass.tiles + tile * kTileBytes;
            const int64_t input = tile * kTileInputs;
            fetch_tile<Vectors * V::kWidth * 4>(pass, tile);
            typename V::I32 words[Vectors];
            MMOE_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                words[v] = V::xor_i(V::load_i(words_at + v * V::kWidth * 4), top_bits);
            }
            MMOE_UNROLL
            for (int k = 0; k < kTileInputs; ++k) {
                F32 codes[Vectors];
                MMOE_UNROLL
                for (int v = 0; v < Vectors; ++v) codes[v] = code(words[v], k);
                MMOE_UNROLL
                for (int t = 0; t < Tokens; ++t) {
                    const F32 x = V::set(pass.x[t][input + k]);
                    MMOE_UNROLL
                    for (int v = 0; v < Vectors; ++v) {
                        sums[v][t] = V::fma(codes[v], x, sums[v][t]);
                    }
                }
            }
        }
    }
};

}  // namespace
}  // namespace mmoe::cpu
