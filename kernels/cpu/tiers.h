// SPDX-License-Identifier: Apache-2.0
// Inside of room kernels/cpu: the functions of every tier, defined in the source file of its
// name. Such a file is compiled with the tier's own instructions, so it may run only what it
// holds itself: it shares headers of templates inside an anonymous namespace, and no inline
// function of it may survive as a symbol that the linker could pick for other files.
// tests/arch/cpu_symbols.py checks that.
#pragma once

#include "cpu/launch.h"

namespace mmoe::cpu {

namespace portable {
void pack_f32(const PackArgs& args);
void multiply_f32_int4(int tokens, const MultiplyArgs& args);
void multiply_f32_int8(int tokens, const MultiplyArgs& args);
void activate(const ActivateArgs& args);
void combine(const CombineArgs& args);
void store(Element type, int64_t count, const float* sums, void* out);
void pack_tiles(const PackTilesArgs& args);
}  // namespace portable

namespace avx2 {
void pack_f32(const PackArgs& args);
void pack_int16(const PackArgs& args);
void pack_int8(const PackArgs& args);
void multiply_f32_int4(int tokens, const MultiplyArgs& args);
void multiply_f32_int8(int tokens, const MultiplyArgs& args);
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
void multiply_int8_int4(int tokens, const MultiplyArgs& args);
void activate(const ActivateArgs& args);
void combine(const CombineArgs& args);
void store(Element type, int64_t count, const float* sums, void* out);
void pack_tiles(const PackTilesArgs& args);
void pack_marlin(const PackMarlinArgs& args);
void turn_words(const TurnArgs& args);
void turn_awq(const TurnArgs& args);
void pack_file_tiles(const PackFileTilesArgs& args);
void pack_file_marlin(const PackFileMarlinArgs& args);
}  // namespace avx2

namespace avxvnni {
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
void multiply_int8_int4(int tokens, const MultiplyArgs& args);
void multiply_int8_int8(int tokens, const MultiplyArgs& args);
}  // namespace avxvnni

namespace avx512 {
void pack_f32(const PackArgs& args);
void pack_int16(const PackArgs& args);
void pack_int8(const PackArgs& args);
void multiply_f32_int4(int tokens, const MultiplyArgs& args);
void multiply_f32_int8(int tokens, const MultiplyArgs& args);
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
void multiply_int8_int4(int tokens, const MultiplyArgs& args);
void multiply_int8_int8(int tokens, const MultiplyArgs& args);
void activate(const ActivateArgs& args);
void combine(const CombineArgs& args);
void store(Element type, int64_t count, const float* sums, void* out);
}  // namespace avx512

namespace avx512bf16 {
void pack_bf16(const PackArgs& args);
void multiply_bf16_int4(int tokens, const MultiplyArgs& args);
}  // namespace avx512bf16

namespace amxbf16 {
void multiply_bf16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
}  // namespace amxbf16

namespace neon {
void pack_f32(const PackArgs& args);
void multiply_f32_int4(int tokens, const MultiplyArgs& args);
void multiply_f32_int8(int tokens, const MultiplyArgs& args);
void pack_int8(const PackArgs& args);
void pack_int16_planes(const PackArgs& args);
void pack_bf16(const PackArgs& args);
void activate(const ActivateArgs& args);
void combine(const CombineArgs& args);
void store(Element type, int64_t count, const float* sums, void* out);
}  // namespace neon

namespace neondot {
void multiply_int16_int4(int tokens, const MultiplyArgs& args);
void multiply_int16_int8(int tokens, const MultiplyArgs& args);
void multiply_int8_int4(int tokens, const MultiplyArgs& args);
void multiply_int8_int8(int tokens, const MultiplyArgs& args);
}  // namespace neondot

namespace neonbf16 {
void multiply_bf16_int4(int tokens, const MultiplyArgs& args);
}  // namespace neonbf16

}  // namespace mmoe::cpu
