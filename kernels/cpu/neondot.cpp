// SPDX-License-Identifier: Apache-2.0
// The NEON tier with dot products of bytes (SDOT): 16-bit fixed point as two planes of bytes, and
// 8-bit fixed point. Activations are packed by the NEON tier.
#include <cstring>
#include <type_traits>

#include "cpu/gemm_fixed.h"
#include "cpu/tiers.h"
#include "cpu/vector_neon.h"

namespace mmoe::cpu {
namespace {

template <int Planes>
struct NeonDot : Neon {
    static constexpr int pass_vectors(int tokens) {
        return (tokens <= 2 ? 8 : 4) / Planes;  // each plane has accumulators of its own
    }
};

// Four codes, signed bytes, meet four activations. Planes, most significant first, alternate every
// four inputs (ActivationFormat::kInt16Planes).
template <int Bits, int Planes>
struct GemmDot {
    using Vector = NeonDot<Planes>;
    using Input = std::conditional_t<Planes == 2, int16_t, int8_t>;
    using F32 = float32x4_t;
    using I32 = int32x4_t;
    static constexpr int kBits = Bits;
    static constexpr bool kScaled = true;
    static constexpr int kTileInputs = 32 / Bits;
    static constexpr int kWords = kTileInputs / 4;  // of codes

    // Activations of one tile: kWords * Planes words of four.
    static int8x16_t load_x(const Input* x) {
        int8_t bytes[16] = {};
        std::memcpy(bytes, x, kTileInputs * sizeof(Input));
        return vld1q_s8(bytes);
    }

    // 4-bit codes as they are, 8-bit codes less 128.
    static void load_codes(const uint8_t* words_at, int8x16_t (&codes)[kWords]) {
        const uint8x16_t words = Vector::load_bytes(words_at);
        if constexpr (Bits == 4) {
            codes[0] = vreinterpretq_s8_u8(vandq_u8(words, vdupq_n_u8(0x0F)));
            codes[1] = vreinterpretq_s8_u8(vshrq_n_u8(words, 4));
        } else {
            codes[0] = vreinterpretq_s8_u8(veorq_u8(words, vdupq_n_u8(0x80)));
        }
    }

    template <int Word, int Tokens, int Vectors>
    [[gnu::always_inline]] static void add_word(const int8x16_t (&codes)[Vectors][kWords],
                                                int8x16_t x, int token,
                                                I32 (&whole)[Planes][Vectors][Tokens]) {
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            I32& high = whole[0][v][token];
            high = vdotq_laneq_s32(high, codes[v][Word], x, Word * Planes);
            if constexpr (Planes == 2) {
                I32& low = whole[1][v][token];
                low = vdotq_laneq_s32(low, codes[v][Word], x, Word * Planes + 1);
            }
        }
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<Input, Tokens>& pass,
                                           F32 (&sums)[Vectors][Tokens]) {
        I32 whole[Planes][Vectors][Tokens] = {};
        if constexpr (Bits == 4) start_centred<Vector, Bits>(pass.x_sum, whole[Planes - 1]);
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words_at = pass.tiles + tile * kTileBytes;
            fetch_tile<Vectors * Vector::kWidth * 4>(pass, tile);
            int8x16_t codes[Vectors][kWords];
            MMOE_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                load_codes(words_at + v * Vector::kWidth * 4, codes[v]);
            }
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                const int8x16_t x = load_x(pass.x[t] + tile * kTileInputs);
                add_word<0>(codes, x, t, whole);
                if constexpr (kWords == 2) add_word<1>(codes, x, t, whole);
            }
        }
        if constexpr (Planes == 2) join_planes(whole);
        widen_sums<Vector>(whole[Planes - 1], sums);
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void join_planes(I32 (&whole)[2][Vectors][Tokens]) {
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) {
                whole[1][v][t] = vaddq_s32(whole[1][v][t], vshlq_n_s32(whole[0][v][t], 8));
            }
        }
    }
};

}  // namespace

namespace neondot {

void multiply_int16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmDot<4, 2>>(tokens, args);
}
void multiply_int16_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmDot<8, 2>>(tokens, args);
}
void multiply_int8_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmDot<4, 1>>(tokens, args);
}
void multiply_int8_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmDot<8, 1>>(tokens, args);
}

}  // namespace neondot
}  // namespace mmoe::cpu
