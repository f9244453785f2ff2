// SPDX-License-Identifier: Apache-2.0
// The tier that every processor runs: exact fp32, no instructions of our own choice.
#include "cpu/elementwise.h"
#include "cpu/gemm_f32.h"
#include "cpu/pack_rows.h"
#include "cpu/pack_words.h"
#include "cpu/tiers.h"
#include "cpu/vector_portable.h"

namespace mmoe::cpu::portable {

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
    for (int64_t record = 0; record < args.records; ++record) {
        pack_words(args, record, {0, args.rows, 0});
    }
}

}  // namespace mmoe::cpu::portable
