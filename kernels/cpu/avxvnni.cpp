// SPDX-License-Identifier: Apache-2.0
// The AVX-VNNI tier: what AVX2 multiplies in fixed point, with dot products of one instruction.
// Activations are packed as the AVX2 tier packs them.
#include "cpu/gemm_int16.h"
#include "cpu/gemm_int8.h"
#include "cpu/tiers.h"
#include "cpu/vector_avxvnni.h"

namespace mmoe::cpu::avxvnni {

void multiply_int16_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<AvxVnni, 4>>(tokens, args);
}
void multiply_int16_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt16<AvxVnni, 8>>(tokens, args);
}
void multiply_int8_int4(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt8<AvxVnni, 4>>(tokens, args);
}
void multiply_int8_int8(int tokens, const MultiplyArgs& args) {
    multiply<GemmInt8<AvxVnni, 8>>(tokens, args);
}

}  // namespace mmoe::cpu::avxvnni
