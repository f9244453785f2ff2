// SPDX-License-Identifier: Apache-2.0
// The AVX-512 tier (F, BW, DQ, VL, VNNI): 16-bit and 8-bit fixed point, exact fp32.
#include "cpu/elementwise.h"
#include "cpu/gemm_f32.h"
#include "cpu/gemm_int16.h"
#include "cpu/gemm_int8.h"
#include "cpu/pack_rows.h"
#include "cpu/tiers.h"
#include "cpu/vector_avx512.h"

namespace mmoe::cpu::avx512 {

void pack_f32(const PackArgs& args) {
    pack_f32_row<Avx512>(args);
}
void pack_int16(const PackArgs& args) {
    pack_int16_row<Avx512>(args);
}
void pack_int8(const PackArgs& args) {
    pack_int8_row<Avx512>(args);
}
void multiply_f32_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Avx512, 4>>(tokens, args);
}
void multiply_f32_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmF32<Avx512, 8>>(tokens, args);
}
void multiply_int16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<Avx512, 4>>(tokens, args);
}
void multiply_int16_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<Avx512, 8>>(tokens, args);
}
void multiply_int8_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt8<Avx512, 4>>(tokens, args);
}
void multiply_int8_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt8<Avx512, 8>>(tokens, args);
}
void activate(const ActivateArgs& args) {
    activate_block<Avx512>(args);
}
void combine(const CombineArgs& args) {
    combine_block<Avx512>(args);
}
void store(Element type, int64_t count, const float* sums, void* out) {
    store_sums<Avx512>(type, count, sums, out);
}

}  // namespace mmoe::cpu::avx512
