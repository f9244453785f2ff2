// SPDX-License-Identifier: Apache-2.0
// The table of rows on 64-bit ARM.
#include "cpu/table.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

using Format = ActivationFormat;

// 8-bit activations serve those who ask for them.
constexpr Row kRows[] = {
    {"moe_gemm.int8.int4.n64.neondot", Tier::kNeonDot, Format::kInt8, 4, false, &refuse_int4,
     &neon::pack_int8, &neondot::multiply_int8_int4},
    {"moe_gemm.int8.int8.n64.neondot", Tier::kNeonDot, Format::kInt8, 8, false, &refuse_int8,
     &neon::pack_int8, &neondot::multiply_int8_int8},
    {"moe_gemm.bf16.int4.n64.neonbf16", Tier::kNeonBf16, Format::kBf16, 4, false, &refuse_bf16_int4,
     &neon::pack_bf16, &neonbf16::multiply_bf16_int4},
    {"moe_gemm.int16.int4.n64.neondot", Tier::kNeonDot, Format::kInt16Planes, 4, false,
     &refuse_int4, &neon::pack_int16_planes, &neondot::multiply_int16_int4},
    {"moe_gemm.int16.int8.n64.neondot", Tier::kNeonDot, Format::kInt16Planes, 8, false,
     &refuse_int8, &neon::pack_int16_planes, &neondot::multiply_int16_int8},
    {"moe_gemm.f32.int4.n64.neon", Tier::kNeon, Format::kF32, 4, true, &refuse_int4,
     &neon::pack_f32, &neon::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.neon", Tier::kNeon, Format::kF32, 8, true, &refuse_int8,
     &neon::pack_f32, &neon::multiply_f32_int8},
    {"moe_gemm.f32.int4.n64.scalar", Tier::kScalar, Format::kF32, 4, true, &refuse_int4,
     &portable::pack_f32, &portable::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.scalar", Tier::kScalar, Format::kF32, 8, true, &refuse_int8,
     &portable::pack_f32, &portable::multiply_f32_int8},
};

constexpr Elementwise kNeonElementwise = {Tier::kNeon, &neon::activate, &neon::combine,
                                          &neon::store};
constexpr Elementwise kScalarElementwise = {Tier::kScalar, &portable::activate, &portable::combine,
                                            &portable::store};

}  // namespace

std::span<const Row> rows() {
    return kRows;
}
const Elementwise& elementwise(Tier tier) {
    return includes(tier, Tier::kNeon) ? kNeonElementwise : kScalarElementwise;
}

}  // namespace mmoe::cpu
