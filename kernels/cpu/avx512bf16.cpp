// SPDX-License-Identifier: Apache-2.0
// The AVX512-BF16 tier: bf16 hidden states meet 4-bit codes that a table turns into bf16, and
// vdpbf16ps adds exact products in fp32. It reads denormals as 0 and flushes its own.
#include <cstring>

#include "cpu/codes_bf16.h"
#include "cpu/gemm.h"
#include "cpu/pack_rows.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

struct GemmBf16 {
    using Vector = Avx512;
    using Input = uint16_t;
    static constexpr int kBits = 4;
    static constexpr bool kScaled = false;
    static constexpr int kTilePairs = 4;

    static __m512i broadcast_pair(const uint16_t* pair) {
        int32_t both;
        std::memcpy(&both, pair, sizeof both);
        return _mm512_set1_epi32(both);
    }

    template <int Tokens, int Vectors>
    [[gnu::always_inline]] static void sum(const Pass<uint16_t, Tokens>& pass,
                                           __m512 (&sums)[Vectors][Tokens]) {
        const __m512i table = _mm512_load_si512(kCentredCodes);
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) {
            MMOE_UNROLL
            for (int t = 0; t < Tokens; ++t) sums[v][t] = _mm512_setzero_ps();
        }
        for (int64_t tile = 0; tile < pass.tile_count; ++tile) {
            const uint8_t* words = pass.tiles + tile * kTileBytes;
            const int64_t input = tile * kTilePairs * 2;
            fetch_tile<Vectors * Avx512::kWidth * 4>(pass, tile);
            MMOE_UNROLL
            for (int pair = 0; pair < kTilePairs; ++pair) {
                __m512bh codes[Vectors];
                MMOE_UNROLL
                for (int v = 0; v < Vectors; ++v) {
                    codes[v] = reinterpret_cast<__m512bh>(
                        centred_pairs(_mm512_load_si512(words + v * 64), pair, table));
                }
                MMOE_UNROLL
                for (int t = 0; t < Tokens; ++t) {
                    const auto x =
                        reinterpret_cast<__m512bh>(broadcast_pair(pass.x[t] + input + 2 * pair));
                    MMOE_UNROLL
                    for (int v = 0; v < Vectors; ++v) {
                        sums[v][t] = _mm512_dpbf16_ps(sums[v][t], codes[v], x);
                    }
                }
            }
        }
    }
};

}  // namespace

namespace avx512bf16 {

void pack_bf16(const PackArgs& args) {
    pack_bf16_row<Avx512>(args);
}
void multiply_bf16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmBf16>(tokens, args);
}

}  // namespace avx512bf16
}  // namespace mmoe::cpu
