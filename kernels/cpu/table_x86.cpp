// SPDX-License-Identifier: Apache-2.0
// The table of rows on x86-64, and which tiers the processor and the operating system support.
#include <cpuid.h>

#include "cpu/table.h"
#include "cpu/tiers.h"

namespace mmoe::cpu {
namespace {

using Format = ActivationFormat;

// 8-bit activations and exact fp32 serve those who ask for them; the former come first, the latter
// after 16-bit fixed point.
constexpr Row kRows[] = {
    {"moe_gemm.int8.int4.n64.avx512", Tier::kAvx512, Format::kInt8, 4, false, &refuse_int4,
     &avx512::pack_int8, &avx512::multiply_int8_int4},
    {"moe_gemm.int8.int8.n64.avx512", Tier::kAvx512, Format::kInt8, 8, false, &refuse_int8,
     &avx512::pack_int8, &avx512::multiply_int8_int8},
    {"moe_gemm.int8.int4.n64.avx2", Tier::kAvx2, Format::kInt8, 4, false, &refuse_int4,
     &avx2::pack_int8, &avx2::multiply_int8_int4},
    {"moe_gemm.bf16.int4.n64.avx512bf16", Tier::kAvx512Bf16, Format::kBf16, 4, false,
     &refuse_bf16_int4, &avx512bf16::pack_bf16, &avx512bf16::multiply_bf16_int4},
    {"moe_gemm.int16.int4.n64.avx512", Tier::kAvx512, Format::kInt16, 4, false, &refuse_int4,
     &avx512::pack_int16, &avx512::multiply_int16_int4},
    {"moe_gemm.int16.int8.n64.avx512", Tier::kAvx512, Format::kInt16, 8, false, &refuse_int8,
     &avx512::pack_int16, &avx512::multiply_int16_int8},
    {"moe_gemm.int16.int4.n64.avx2", Tier::kAvx2, Format::kInt16, 4, false, &refuse_int4,
     &avx2::pack_int16, &avx2::multiply_int16_int4},
    {"moe_gemm.int16.int8.n64.avx2", Tier::kAvx2, Format::kInt16, 8, false, &refuse_int8,
     &avx2::pack_int16, &avx2::multiply_int16_int8},
    {"moe_gemm.f32.int4.n64.avx512", Tier::kAvx512, Format::kF32, 4, true, &refuse_int4,
     &avx512::pack_f32, &avx512::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.avx512", Tier::kAvx512, Format::kF32, 8, true, &refuse_int8,
     &avx512::pack_f32, &avx512::multiply_f32_int8},
    {"moe_gemm.f32.int4.n64.avx2", Tier::kAvx2, Format::kF32, 4, true, &refuse_int4,
     &avx2::pack_f32, &avx2::multiply_f32_int4},
    {"moe_gemm.f32.int8.n64.avx2", Tier::kAvx2, Format::kF32, 8, true, &refuse_int8,
     &avx2::pack_f32, &avx2::multiply_f32_int8},
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

// ---- Detection -------------------------------------------------------------------------------

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

// Which registers the operating system saves when it switches threads.
uint32_t saved_registers() {
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

Tier detect_tier() {
    constexpr uint32_t kOsSavesRegisters = 1u << 27;
    constexpr uint32_t kYmmSaved = 0x06;  // xmm and the upper halves of ymm
    constexpr uint32_t kZmmSaved = 0xE6;  // and mask registers and all of zmm
    const CpuidWords basic = cpuid(1, 0);
    const CpuidWords extended = cpuid(7, 0);
    if (!has_bits(basic.c, kOsSavesRegisters | bit_AVX | bit_FMA | bit_F16C)) return Tier::kScalar;
    const uint32_t saved = saved_registers();
    if (!has_bits(saved, kYmmSaved) || !has_bits(extended.b, bit_AVX2)) return Tier::kScalar;
    constexpr uint32_t kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if (!has_bits(saved, kZmmSaved) || !has_bits(extended.b, kAvx512) ||
        !has_bits(extended.c, bit_AVX512VNNI)) {
        return Tier::kAvx2;
    }
    return has_bits(cpuid(7, 1).a, bit_AVX512BF16) ? Tier::kAvx512Bf16 : Tier::kAvx512;
}

}  // namespace

std::span<const Row> rows() {
    return kRows;
}

const Elementwise& elementwise(Tier tier) {
    for (const Elementwise& functions : kElementwise) {
        if (functions.tier <= tier) return functions;
    }
    return kElementwise[2];
}

PackTiles pack_tiles(Tier tier) {
    return tier >= Tier::kAvx2 ? &avx2::pack_tiles : &portable::pack_tiles;
}

PackMarlin pack_marlin(Tier tier) {
    return tier >= Tier::kAvx2 ? &avx2::pack_marlin : nullptr;
}
Turn turn_words(Tier tier) {
    return tier >= Tier::kAvx2 ? &avx2::turn_words : nullptr;
}
Turn turn_fields(Tier tier) {
    return tier >= Tier::kAvx2 ? &avx2::turn_fields : nullptr;
}

Tier usable_tier() {
    static const Tier tier = detect_tier();
    return tier;
}

}  // namespace mmoe::cpu
