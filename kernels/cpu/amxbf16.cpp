// SPDX-License-Identifier: Apache-2.0
// The AMX tier (TILE, BF16, INT8), for experts of several tokens: bf16 hidden states meet 4-bit
// codes that are turned into bf16; 16-bit fixed point, in two planes of bytes, meets codes as bytes
// and gives the bits that the AVX-512 rows give, as its sums are exact.
#include "cpu/codes_bf16.h"
#include "cpu/gemm_amx.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

struct TilesBf16 {
    using Vector = Avx512;
    using Input = uint16_t;
    static constexpr int kBits = 4;
    static constexpr bool kScaled = false;
    static constexpr int kNumberBytes = 2;
    static constexpr int kPlanes = 1;

    static void unpack(__m512i words, uint8_t (*rows)[kAmxRowBytes]) {
        const __m512i table = _mm512_load_si512(kCentredCodes);
        MMOE_UNROLL
        for (int pair = 0; pair < 4; ++pair) {
            _mm512_store_si512(rows[pair], centred_pairs(words, pair, table));
        }
    }
    static void gather(const uint16_t* x, int64_t /*inputs*/, uint8_t* const (&planes)[1]) {
        _mm512_store_si512(planes[0], _mm512_loadu_si512(x));
    }
    template <int Row, int Sums, int A, int B>
    static void dot() {
        amx_dot_bf16<Sums, A, B>();
    }
    static __m512 sums(const AmxTile* tiles, int lanes, int row, float /*x_sum*/) {
        return _mm512_load_ps(tiles[lanes][row]);
    }
};

// x = 256 * high + low, signed and unsigned bytes; codes are unsigned bytes.
template <int Bits>
struct TilesInt16 {
    using Vector = Avx512;
    using Input = int16_t;
    static constexpr int kBits = Bits;
    static constexpr bool kScaled = true;
    static constexpr int kNumberBytes = 1;
    static constexpr int kPlanes = 2;

    static void unpack(__m512i words, uint8_t (*rows)[kAmxRowBytes]) {
        if constexpr (Bits == 8) {
            _mm512_store_si512(rows[0], words);
        } else {
            const __m512i nibble = _mm512_set1_epi32(0x0F0F0F0F);
            _mm512_store_si512(rows[0], _mm512_and_si512(words, nibble));
            _mm512_store_si512(rows[1], _mm512_and_si512(_mm512_srli_epi32(words, 4), nibble));
        }
    }
    static void gather(const int16_t* x, int64_t inputs, uint8_t* const (&planes)[2]) {
        // In the order of layout::cpu_byte_order().
        const __m256i order = _mm256_set1_epi64x(
            static_cast<int64_t>(layout::cpu_byte_order(0x0706050403020100, Bits)));
        const __m256i eights = _mm256_setr_epi64x(0, 0x0808080808080808, 0, 0x0808080808080808);
        const __m256i index = _mm256_add_epi8(order, eights);
        for (int64_t k = 0; k < inputs; k += 32) {
            const __m512i halves = _mm512_loadu_si512(x + k);
            const __m256i high = _mm512_cvtepi16_epi8(_mm512_srai_epi16(halves, 8));
            const __m256i low = _mm512_cvtepi16_epi8(halves);
            _mm256_store_si256(reinterpret_cast<__m256i*>(planes[0] + k),
                               _mm256_shuffle_epi8(high, index));
            _mm256_store_si256(reinterpret_cast<__m256i*>(planes[1] + k),
                               _mm256_shuffle_epi8(low, index));
        }
    }
    template <int Row, int Sums, int A, int B>
    static void dot() {
        if constexpr (Row == 0) {
            amx_dot_signed<Sums, A, B>();
        } else {
            amx_dot_unsigned<Sums, A, B>();
        }
    }
    // Sums of codes less 2^(Bits - 1); x_sum is an integer below 2^24.
    static __m512 sums(const AmxTile* tiles, int lanes, int row, float x_sum) {
        const __m512i high = _mm512_load_si512(tiles[lanes][row]);
        const __m512i low = _mm512_load_si512(tiles[2 + lanes][row]);
        const __m512i whole = _mm512_add_epi32(_mm512_slli_epi32(high, 8), low);
        const int32_t excess = static_cast<int32_t>(x_sum) * (1 << (Bits - 1));
        return _mm512_cvtepi32_ps(_mm512_sub_epi32(whole, _mm512_set1_epi32(excess)));
    }
};

}  // namespace

namespace amxbf16 {

void multiply_bf16_int4(int tokens, const MultiplyArgs& args) {
    multiply_in_tiles<TilesBf16>(tokens, args);
}
void multiply_int16_int4(int tokens, const MultiplyArgs& args) {
    multiply_in_tiles<TilesInt16<4>>(tokens, args);
}
void multiply_int16_int8(int tokens, const MultiplyArgs& args) {
    multiply_in_tiles<TilesInt16<8>>(tokens, args);
}
}  // namespace amxbf16
}  // namespace mmoe::cpu
