// SPDX-License-Identifier: Apache-2.0
// The tier that every processor runs: exact fp32, no instructions of our own choice.
#include <cstring>

#include "cpu/elementwise.h"
#include "cpu/gemm_f32.h"
#include "cpu/pack_rows.h"
#include "cpu/tiers.h"
#include "cpu/vector_portable.h"

namespace mmoe::cpu {
namespace {

// A record's word from a dense one: odd codes move to the high half.
uint32_t record_word(uint32_t dense, int bits) {
    const int codes = 32 / bits;
    const uint32_t mask = (1u << bits) - 1;
    uint32_t word = 0;
    for (int k = 0; k < codes; ++k) {
        word |= ((dense >> (k * bits)) & mask) << layout::cpu_code_shift(k, bits);
    }
    return word;
}

}  // namespace

namespace portable {

void pack_f32(const PackArgs& args) {
    pack_f32_row<Portable>(args);
}
void multiply_f32_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Portable, 4>>(tokens, args);
}
void multiply_f32_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Portable, 8>>(tokens, args);
}
void activate(const ActivateArgs& args) {
    activate_block<Portable>(args);
}
void combine(const CombineArgs& args) {
    combine_block<Portable>(args);
}
void store(Element type, int64_t count, const float* sums, void* out) {
    store_sums<Portable>(type, count, sums, out);
}

void pack_tiles(const PackTilesArgs& args) {
    for (int64_t row = 0; row < args.rows; ++row) {
        const uint32_t* dense = args.codes + row * args.row_words;
        uint8_t* lane = args.tile_bytes + (args.first_lane + row) * 4;
        for (int64_t tile = 0; tile < args.tiles; ++tile) {
            const uint32_t word = record_word(dense[tile], args.bits);
            std::memcpy(lane + tile * layout::kTileBytes, &word, sizeof word);
        }
    }
}

}  // namespace portable
}  // namespace mmoe::cpu
