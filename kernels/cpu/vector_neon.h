// SPDX-License-Identifier: Apache-2.0
// Four lanes of NEON behind the names that the templates of this room use. min and max give NaN
// where one operand is NaN.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace mmoe::cpu {
namespace {

struct Neon {
    using F32 = float32x4_t;
    using I32 = int32x4_t;
    using Mask = uint32x4_t;
    static constexpr int kWidth = 4;

    // Vectors of one pass over a tile that `tokens` accumulators each leave registers for: there
    // are 32 in all.
    static constexpr int pass_vectors(int tokens) { return tokens <= 2 ? 8 : 4; }

    static F32 zero() { return vdupq_n_f32(0); }
    static F32 set(float value) { return vdupq_n_f32(value); }
    static F32 load(const float* from) { return vld1q_f32(from); }
    static void store(float* to, F32 a) { vst1q_f32(to, a); }
    static F32 add(F32 a, F32 b) { return vaddq_f32(a, b); }
    static F32 sub(F32 a, F32 b) { return vsubq_f32(a, b); }
    static F32 mul(F32 a, F32 b) { return vmulq_f32(a, b); }
    static F32 div(F32 a, F32 b) { return vdivq_f32(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return vfmaq_f32(c, a, b); }   // c + a * b
    static F32 fnma(F32 a, F32 b, F32 c) { return vfmsq_f32(c, a, b); }  // c - a * b
    static F32 min(F32 a, F32 b) { return vminq_f32(a, b); }
    static F32 max(F32 a, F32 b) { return vmaxq_f32(a, b); }
    static Mask less(F32 a, F32 b) { return vcltq_f32(a, b); }
    static Mask equal(F32 a, F32 b) { return vceqq_f32(a, b); }
    static F32 select(Mask mask, F32 yes, F32 no) { return vbslq_f32(mask, yes, no); }

    static I32 zero_i() { return vdupq_n_s32(0); }
    static I32 set_i(int32_t value) { return vdupq_n_s32(value); }
    static I32 load_i(const void* from) { return vreinterpretq_s32_u8(load_bytes(from)); }
    static I32 add_i(I32 a, I32 b) { return vaddq_s32(a, b); }
    static I32 sub_i(I32 a, I32 b) { return vsubq_s32(a, b); }
    static I32 and_i(I32 a, I32 b) { return vandq_s32(a, b); }
    static I32 or_i(I32 a, I32 b) { return vorrq_s32(a, b); }
    static I32 xor_i(I32 a, I32 b) { return veorq_s32(a, b); }
    static I32 max_i(I32 a, I32 b) { return vmaxq_s32(a, b); }
    // The compilers' own operators, as counts need not be constants where functions take them.
    static I32 shift_left(I32 a, int count) { return a << count; }
    static I32 shift_right(I32 a, int count) { return a >> count; }  // signed
    static I32 shift_right_logical(I32 a, int count) {
        return vreinterpretq_s32_u32(vreinterpretq_u32_s32(a) >> count);
    }

    static F32 to_f32(I32 a) { return vcvtq_f32_s32(a); }
    static I32 to_i32(F32 a) { return vcvtnq_s32_f32(a); }  // to nearest even
    static I32 bits(F32 a) { return vreinterpretq_s32_f32(a); }
    static F32 from_bits(I32 a) { return vreinterpretq_f32_s32(a); }

    static F32 load_bf16(const uint16_t* from) {
        return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from), 16));
    }
    static F32 load_f16(const uint16_t* from) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
    }
    static F32 load_u8(const uint8_t* from) {
        uint32_t word;
        __builtin_memcpy(&word, from, sizeof word);
        const uint16x8_t halves = vmovl_u8(vcreate_u8(word));
        return vcvtq_f32_u32(vmovl_u16(vget_low_u16(halves)));
    }
    static void store_f16(uint16_t* to, F32 a) {
        vst1_u16(to, vreinterpret_u16_f16(vcvt_f16_f32(a)));
    }
    // The low half of every lane.
    static void store_low_halves(uint16_t* to, I32 a) {
        vst1_u16(to, vmovn_u32(vreinterpretq_u32_s32(a)));
    }

    static uint8x16_t load_bytes(const void* from) {
        return vld1q_u8(static_cast<const uint8_t*>(from));
    }
};

}  // namespace
}  // namespace mmoe::cpu
