// SPDX-License-Identifier: Apache-2.0
// The NEON tier, which every 64-bit ARM processor has: exact fp32, which serves all precisions.
#include "cpu/elementwise.h"
#include "cpu/gemm_f32.h"
#include "cpu/pack_rows.h"
#include "cpu/tiers.h"
#include "cpu/vector_neon.h"

namespace mmoe::cpu::neon {

void pack_f32(const PackArgs& args) {
    pack_f32_row<Neon>(args);
}
void multiply_f32_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Neon, 4>>(tokens, args);
}
void multiply_f32_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Neon, 8>>(tokens, args);
}
void pack_int8(const PackArgs& args) {
    pack_int8_row<Neon>(args);
}
void pack_int16_planes(const PackArgs& args) {
    pack_int16_planes_row<Neon>(args);
}
void pack_bf16(const PackArgs& args) {
    pack_bf16_row<Neon>(args);
}
void activate(const ActivateArgs& args) {
    activate_block<Neon>(args);
}
void combine(const CombineArgs& args) {
    combine_block<Neon>(args);
}
void store(Element type, int64_t count, const float* sums, void* out) {
    store_sums<Neon>(type, count, sums, out);
}

}  // namespace mmoe::cpu::neon
