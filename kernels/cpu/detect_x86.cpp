// SPDX-License-Identifier: Apache-2.0
// Which tiers an x86-64 processor and the operating system support.
#include <cpuid.h>

#include "cpu/tier.h"

namespace mmoe::cpu {
namespace {

struct CpuidWords {
    uint32_t a = 0, b = 0, c = 0, d = 0;
};

CpuidWords cpuid(uint32_t leaf, uint32_t subleaf) {
    CpuidWords words;
    // Leaves words at 0 where the processor does not know the leaf.
    __get_cpuid_count(leaf, subleaf, &words.a, &words.b, &words.c, &words.d);
    return words;
}

constexpr bool has_bits(uint32_t word, uint32_t bits) {
    return (word & bits) == bits;
}

// Which registers the operating system saves when it switches threads; none if it does not say.
uint32_t saved_registers(const CpuidWords& basic) {
    constexpr uint32_t kOsSavesRegisters = 1u << 27;
    if (!has_bits(basic.c, kOsSavesRegisters)) return 0;
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// Bits of the tiers; a tier's bit implies those that it includes.
uint32_t detect_tiers() {
    constexpr uint32_t kYmmSaved = 0x06;                       // xmm and the upper halves of ymm
    constexpr uint32_t kZmmSaved = 0xE6;                       // and mask registers and all of zmm
    constexpr uint32_t kTilesSaved = 0x60000;                  // shapes and data of tiles
    constexpr uint32_t kAmx = 1u << 25 | 1u << 24 | 1u << 22;  // leaf 7.0, edx: bytes, tiles, bf16
    constexpr uint32_t kAvxVnni = 1u << 4;  // leaf 7.1, eax; cpuid.h of clang 14 lacks both
    constexpr uint32_t kAvx512Bf16 = 1u << 5;
    constexpr uint32_t kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const auto bit = [](Tier tier) { return 1u << static_cast<int>(tier); };

    const CpuidWords basic = cpuid(1, 0);
    const CpuidWords extended = cpuid(7, 0);
    const CpuidWords newer = cpuid(7, 1);
    const uint32_t saved = saved_registers(basic);
    uint32_t tiers = bit(Tier::kScalar);
    if (!has_bits(saved, kYmmSaved) || !has_bits(basic.c, bit_AVX | bit_FMA | bit_F16C) ||
        !has_bits(extended.b, bit_AVX2)) {
        return tiers;
    }
    tiers |= bit(Tier::kAvx2);
    if (has_bits(newer.a, kAvxVnni)) tiers |= bit(Tier::kAvxVnni);
    if (!has_bits(saved, kZmmSaved) || !has_bits(extended.b, kAvx512) ||
        !has_bits(extended.c, bit_AVX512VNNI)) {
        return tiers;
    }
    tiers |= bit(Tier::kAvx512);
    if (!has_bits(newer.a, kAvx512Bf16)) return tiers;
    tiers |= bit(Tier::kAvx512Bf16);
    if (has_bits(saved, kTilesSaved) && has_bits(extended.d, kAmx)) tiers |= bit(Tier::kAmxBf16);
    return tiers;
}

}  // namespace

bool usable(Tier tier) {
    static const uint32_t tiers = detect_tiers();
    return (tiers >> static_cast<int>(tier) & 1) != 0;
}

}  // namespace mmoe::cpu
