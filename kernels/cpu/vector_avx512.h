// SPDX-License-Identifier: Apache-2.0
// Sixteen lanes of AVX-512 (F, BW, DQ, VL, VNNI) behind the names that the templates of this room
// use. min and max return their second operand where one is NaN, as the instructions do.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mmoe::cpu {
namespace {

struct Avx512 {
    using F32 = __m512;
    using I32 = __m512i;
    using Mask = __mmask16;
    static constexpr int kWidth = 16;

    // Vectors of one pass over a tile that `tokens` accumulators each leave registers for.
    static constexpr int pass_vectors(int /*tokens*/) { return 4; }

    static F32 zero() { return _mm512_setzero_ps(); }
    static F32 set(float value) { return _mm512_set1_ps(value); }
    static F32 load(const float* from) { return _mm512_loadu_ps(from); }
    static void store(float* to, F32 a) { _mm512_storeu_ps(to, a); }
    static F32 add(F32 a, F32 b) { return _mm512_add_ps(a, b); }
    static F32 sub(F32 a, F32 b) { return _mm512_sub_ps(a, b); }
    static F32 mul(F32 a, F32 b) { return _mm512_mul_ps(a, b); }
    static F32 div(F32 a, F32 b) { return _mm512_div_ps(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return _mm512_fmadd_ps(a, b, c); }    // c + a * b
    static F32 fnma(F32 a, F32 b, F32 c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a * b
    static F32 min(F32 a, F32 b) { return _mm512_min_ps(a, b); }
    static F32 max(F32 a, F32 b) { return _mm512_max_ps(a, b); }
    static Mask less(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
    static Mask equal(F32 a, F32 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
    static F32 select(Mask mask, F32 yes, F32 no) { return _mm512_mask_blend_ps(mask, no, yes); }

    static I32 zero_i() { return _mm512_setzero_si512(); }
    static I32 set_i(int32_t value) { return _mm512_set1_epi32(value); }
    static I32 load_i(const void* from) { return _mm512_loadu_si512(from); }
    static I32 add_i(I32 a, I32 b) { return _mm512_add_epi32(a, b); }
    static I32 sub_i(I32 a, I32 b) { return _mm512_sub_epi32(a, b); }
    static I32 and_i(I32 a, I32 b) { return _mm512_and_si512(a, b); }
    static I32 or_i(I32 a, I32 b) { return _mm512_or_si512(a, b); }
    static I32 xor_i(I32 a, I32 b) { return _mm512_xor_si512(a, b); }
    static I32 max_i(I32 a, I32 b) { return _mm512_max_epi32(a, b); }
    static I32 shift_left(I32 a, unsigned count) { return _mm512_slli_epi32(a, count); }
    static I32 shift_right(I32 a, unsigned count) { return _mm512_srai_epi32(a, count); }  // signed
    static I32 shift_right_logical(I32 a, unsigned count) { return _mm512_srli_epi32(a, count); }
    static I32 shift_right_halves(I32 a, unsigned count) { return _mm512_srli_epi16(a, count); }

    static F32 to_f32(I32 a) { return _mm512_cvtepi32_ps(a); }
    static I32 to_i32(F32 a) { return _mm512_cvtps_epi32(a); }  // to nearest even
    static I32 bits(F32 a) { return _mm512_castps_si512(a); }
    static F32 from_bits(I32 a) { return _mm512_castsi512_ps(a); }

    static F32 load_bf16(const uint16_t* from) {
        return from_bits(shift_left(_mm512_cvtepu16_epi32(load_halves(from)), 16));
    }
    static F32 load_f16(const uint16_t* from) { return _mm512_cvtph_ps(load_halves(from)); }
    static F32 load_u8(const uint8_t* from) {
        return to_f32(
            _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
    }
    static void store_f16(uint16_t* to, F32 a) {
        store_halves(to, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    // The low half of every lane.
    static void store_low_halves(uint16_t* to, I32 a) {
        store_halves(to, _mm512_cvtepi32_epi16(a));
    }

    // sums + low half * low half + high half * high half, lane by lane.
    // The instruction itself, because gcc 12 copies `sums` around its own function for it.
    static I32 dot_halves(I32 sums, I32 a, I32 b) {
        __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
        return sums;
    }
    // sums + four products of an unsigned byte of `codes` and a signed byte of `x`, lane by lane.
    static I32 dot_bytes(I32 sums, I32 codes, I32 x) {
        __asm__("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(x));
        return sums;
    }
    // The same with eight products, of codes below 16.
    static I32 dot_nibbles(I32 sums, const I32 (&codes)[2], const I32 (&x)[2]) {
        return dot_bytes(dot_bytes(sums, codes[0], x[0]), codes[1], x[1]);
    }

  private:
    static __m256i load_halves(const uint16_t* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }
    static void store_halves(uint16_t* to, __m256i a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
    }
};

}  // namespace
}  // namespace mmoe::cpu
