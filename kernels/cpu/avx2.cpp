// SPDX-License-Identifier: Apache-2.0
// The AVX2 tier (with FMA and F16C): packing of weights, 16-bit fixed point, exact fp32, and
// 8-bit fixed point for 4-bit codes. 8-bit codes would saturate vpmaddubsw (2 * 255 * 127 >= 2^15),
// and the ways around that take as long as 16-bit activations do.
#include "cpu/elementwise.h"
#include "cpu/file_codes_avx2.h"
#include "cpu/gemm_f32.h"
#include "cpu/gemm_int16.h"
#include "cpu/gemm_int8.h"
#include "cpu/marlin_tiles_avx2.h"
#include "cpu/pack_rows.h"
#include "cpu/pack_tiles_avx2.h"
#include "cpu/tiers.h"
#include "cpu/turn_avx2.h"
#include "cpu/vector_avx2.h"

namespace mmoe::cpu::avx2 {

void pack_f32(const PackArgs& args) {
    pack_f32_row<Avx2>(args);
}
void pack_int16(const PackArgs& args) {
    pack_int16_row<Avx2>(args);
}
void pack_int8(const PackArgs& args) {
    pack_int8_row<Avx2>(args);
}
void multiply_f32_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Avx2, 4>>(tokens, args);
}
void multiply_f32_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Avx2, 8>>(tokens, args);
}
void multiply_int16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<Avx2, 4>>(tokens, args);
}
void multiply_int16_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<Avx2, 8>>(tokens, args);
}
void multiply_int8_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt8<Avx2, 4>>(tokens, args);
}
void activate(const ActivateArgs& args) {
    activate_block<Avx2>(args);
}
void combine(const CombineArgs& args) {
    combine_block<Avx2>(args);
}
void store(Element type, int64_t count, const float* sums, void* out) {
    store_sums<Avx2>(type, count, sums, out);
}
void pack_tiles(const PackTilesArgs& args) {
    if (args.bits == 4) {
        pack_tiles_of<4>(args);
    } else {
        pack_tiles_of<8>(args);
    }
}
void pack_marlin(const PackMarlinArgs& args) {
    pack_marlin_tiles(args);
}
void turn_words(const TurnArgs& args) {
    turn_words_of(args);
}
void turn_awq(const TurnArgs& args) {
    turn_awq_of(args);
}
void pack_file_tiles(const PackFileTilesArgs& args) {
    pack_file_into_tiles(args);
}
void pack_file_marlin(const PackFileMarlinArgs& args) {
    if (args.tile == MarlinTile::kK16N64) {
        pack_file_into_marlin<MarlinTile::kK16N64>(args);
    } else {
        pack_file_into_marlin<MarlinTile::kK32N32>(args);
    }
}

}  // namespace mmoe::cpu::avx2
