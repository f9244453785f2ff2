// SPDX-License-Identifier: Apache-2.0
// Tiers: sets of instructions that kernels are written for. They form a tree, as newer ones
// contain an older one, but need not contain each other.
#pragma once

#include <cstdint>

namespace mmoe::cpu {

// Values of mmoe_cpu_tier.
enum class Tier : int32_t {
    kScalar = 1,
    kAvx2 = 2,
    kAvx512 = 3,
    kAvx512Bf16 = 4,
    kAvxVnni = 5,
    kAmxBf16 = 6,
    kNeon = 7,
    kNeonDot = 8,
    kNeonBf16 = 9,
};

struct TierInfo {
    Tier tier;
    Tier base;  // what it adds instructions to; kScalar's own is kScalar
    const char* name;
};
// Every tier; a better one of a processor family comes before those that it may have beside it.
inline constexpr TierInfo kTiers[] = {
    {Tier::kAmxBf16, Tier::kAvx512Bf16, "amxbf16"},
    {Tier::kAvx512Bf16, Tier::kAvx512, "avx512bf16"},
    {Tier::kAvx512, Tier::kAvx2, "avx512"},
    {Tier::kAvxVnni, Tier::kAvx2, "avxvnni"},
    {Tier::kAvx2, Tier::kScalar, "avx2"},
    {Tier::kNeonBf16, Tier::kNeonDot, "neonbf16"},
    {Tier::kNeonDot, Tier::kNeon, "neondot"},
    {Tier::kNeon, Tier::kScalar, "neon"},
    {Tier::kScalar, Tier::kScalar, "scalar"},
};

const char* tier_name(Tier tier);
// Whether what is written for `part` runs wherever `whole` does.
bool includes(Tier whole, Tier part);

// Whether the processor and the operating system support a tier.
bool usable(Tier tier);
// The best of the usable ones.
Tier usable_tier();

}  // namespace mmoe::cpu
