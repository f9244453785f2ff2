// SPDX-License-Identifier: Apache-2.0
// The table of rows on processors for which no other table is written.
#include "cpu/table.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

constexpr Row kRows[] = {
    {"moe_gemm.f32.int4.n64.scalar", Tier::kScalar, ActivationFormat::kF32, 4, true, &refuse_int4,
     &portable::pack_f32, &portable::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.scalar", Tier::kScalar, ActivationFormat::kF32, 8, true, &refuse_int8,
     &portable::pack_f32, &portable::multiply_f32_int8},
};

constexpr Elementwise kElementwise = {Tier::kScalar, &portable::activate, &portable::combine,
                                      &portable::store};

}  // namespace

std::span<const Row> rows() {
    return kRows;
}
const Elementwise& elementwise(Tier /*tier*/) {
    return kElementwise;
}

}  // namespace mmoe::cpu
