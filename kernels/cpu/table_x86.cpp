// SPDX-License-Identifier: Apache-2.0
// The table of rows on x86-64.
#include "cpu/amx_ready.h"
#include "cpu/table.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

using Format = ActivationFormat;

template <AmxKernel Kernel, auto Refuse>
const char* refuse_amx(const layout::CpuRecordPlan& plan, Element source_type) {
    const char* refusal = Refuse(plan, source_type);
    if (refusal != nullptr) return refusal;
    if (plan.padded_group() % 32 != 0) return "takes groups of whole 32 inputs";
    return amx_refusal(Kernel);
}

// Sixteen registers hold the sums of so many tokens; with more the compiler spills (Zen 4, one
// core: 131 GFLOP/s at 4 tokens, 121 at 6; exact fp32 83 and 50).
constexpr int kAvx2Tokens = 4;

// 8-bit activations and exact fp32 serve those who ask for them; the former come first, the latter
// after 16-bit fixed point.
constexpr Row kRows[] = {
    {"moe_gemm.int8.int4.n64.avx512", Tier::kAvx512, Format::kInt8, 4, false, &refuse_int4,
     &avx512::pack_int8, &avx512::multiply_int8_int4},
    {"moe_gemm.int8.int8.n64.avx512", Tier::kAvx512, Format::kInt8, 8, false, &refuse_int8,
     &avx512::pack_int8, &avx512::multiply_int8_int8},
    {"moe_gemm.int8.int4.n64.avxvnni", Tier::kAvxVnni, Format::kInt8, 4, false, &refuse_int4,
     &avx2::pack_int8, &avxvnni::multiply_int8_int4},
    {"moe_gemm.int8.int8.n64.avxvnni", Tier::kAvxVnni, Format::kInt8, 8, false, &refuse_int8,
     &avx2::pack_int8, &avxvnni::multiply_int8_int8},
    {"moe_gemm.int8.int4.n64.avx2", Tier::kAvx2, Format::kInt8, 4, false, &refuse_int4,
     &avx2::pack_int8, &avx2::multiply_int8_int4},
    {"moe_gemm.bf16.int4.n64.amxbf16", Tier::kAmxBf16, Format::kBf16, 4, false,
     &refuse_amx<AmxKernel::kBf16Int4, refuse_bf16_int4>, &avx512bf16::pack_bf16,
     &amxbf16::multiply_bf16_int4, kAmxTokens, 2},
    {"moe_gemm.bf16.int4.n64.avx512bf16", Tier::kAvx512Bf16, Format::kBf16, 4, false,
     &refuse_bf16_int4, &avx512bf16::pack_bf16, &avx512bf16::multiply_bf16_int4},
    {"moe_gemm.int16.int4.n64.amxbf16", Tier::kAmxBf16, Format::kInt16, 4, false,
     &refuse_amx<AmxKernel::kInt16Int4, refuse_int4>, &avx512::pack_int16,
     &amxbf16::multiply_int16_int4, kAmxTokens, 16},
    {"moe_gemm.int16.int8.n64.amxbf16", Tier::kAmxBf16, Format::kInt16, 8, false,
     &refuse_amx<AmxKernel::kInt16Int8, refuse_int8>, &avx512::pack_int16,
     &amxbf16::multiply_int16_int8, kAmxTokens, 16},
    {"moe_gemm.int16.int4.n64.avx512", Tier::kAvx512, Format::kInt16, 4, false, &refuse_int4,
     &avx512::pack_int16, &avx512::multiply_int16_int4},
    {"moe_gemm.int16.int8.n64.avx512", Tier::kAvx512, Format::kInt16, 8, false, &refuse_int8,
     &avx512::pack_int16, &avx512::multiply_int16_int8},
    {"moe_gemm.int16.int4.n64.avxvnni", Tier::kAvxVnni, Format::kInt16, 4, false, &refuse_int4,
     &avx2::pack_int16, &avxvnni::multiply_int16_int4},
    {"moe_gemm.int16.int8.n64.avxvnni", Tier::kAvxVnni, Format::kInt16, 8, false, &refuse_int8,
     &avx2::pack_int16, &avxvnni::multiply_int16_int8},
    {"moe_gemm.int16.int4.n64.avx2", Tier::kAvx2, Format::kInt16, 4, false, &refuse_int4,
     &avx2::pack_int16, &avx2::multiply_int16_int4, kAvx2Tokens},
    {"moe_gemm.int16.int8.n64.avx2", Tier::kAvx2, Format::kInt16, 8, false, &refuse_int8,
     &avx2::pack_int16, &avx2::multiply_int16_int8, kAvx2Tokens},
    {"moe_gemm.f32.int4.n64.avx512", Tier::kAvx512, Format::kF32, 4, true, &refuse_int4,
     &avx512::pack_f32, &avx512::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.avx512", Tier::kAvx512, Format::kF32, 8, true, &refuse_int8,
     &avx512::pack_f32, &avx512::multiply_f32_int8},
    {"moe_gemm.f32.int4.n64.avx2", Tier::kAvx2, Format::kF32, 4, true, &refuse_int4,
     &avx2::pack_f32, &avx2::multiply_f32_int4, kAvx2Tokens},
    {"moe_gemm.f32.int8.n64.avx2", Tier::kAvx2, Format::kF32, 8, true, &refuse_int8,
     &avx2::pack_f32, &avx2::multiply_f32_int8, kAvx2Tokens},
    {"moe_gemm.f32.int4.n64.scalar", Tier::kScalar, Format::kF32, 4, true, &refuse_int4,
     &portable::pack_f32, &portable::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.scalar", Tier::kScalar, Format::kF32, 8, true, &refuse_int8,
     &portable::pack_f32, &portable::multiply_f32_int8},
};

constexpr Elementwise kElementwise[] = {
    {Tier::kAvx512, &avx512::activate, &avx512::combine, &avx512::store},
    {Tier::kAvx2, &avx2::activate, &avx2::combine, &avx2::store},
    {Tier::kScalar, &portable::activate, &portable::combine, &portable::store},
};

}  // namespace

std::span<const Row> rows() {
    return kRows;
}

const Elementwise& elementwise(Tier tier) {
    for (const Elementwise& functions : kElementwise) {
        if (includes(tier, functions.tier)) return functions;
    }
    return kElementwise[2];
}

PackTiles pack_tiles(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::pack_tiles : &portable::pack_tiles;
}

PackMarlin pack_marlin(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::pack_marlin : nullptr;
}
Turn turn_words(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::turn_words : nullptr;
}
Turn turn_awq(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::turn_awq : nullptr;
}
PackFileTiles pack_file_tiles(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::pack_file_tiles : nullptr;
}
PackFileMarlin pack_file_marlin(Tier tier) {
    return includes(tier, Tier::kAvx2) ? &avx2::pack_file_marlin : nullptr;
}

}  // namespace mmoe::cpu
