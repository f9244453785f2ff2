// SPDX-License-Identifier: Apache-2.0
// Eight lanes of AVX2, FMA and F16C behind the names that the templates of this room use. min and
// max return their second operand where one is NaN, as the instructions do.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace mmoe::cpu {
namespace {

struct Avx2 {
    using F32 = __m256;
    using I32 = __m256i;
    using Mask = __m256;
    static constexpr int kWidth = 8;

    // Vectors of one pass over a tile that `tokens` accumulators each leave registers for: there
    // are 16 in all.
    static constexpr int pass_vectors(int tokens) { return tokens <= 2 ? 4 : 2; }

    static F32 zero() { return _mm256_setzero_ps(); }
    static F32 set(float value) { return _mm256_set1_ps(value); }
    static F32 load(const float* from) { return _mm256_loadu_ps(from); }
    static void store(float* to, F32 a) { _mm256_storeu_ps(to, a); }
    static F32 add(F32 a, F32 b) { return _mm256_add_ps(a, b); }
    static F32 sub(F32 a, F32 b) { return _mm256_sub_ps(a, b); }
    static F32 mul(F32 a, F32 b) { return _mm256_mul_ps(a, b); }
    static F32 div(F32 a, F32 b) { return _mm256_div_ps(a, b); }
    static F32 fma(F32 a, F32 b, F32 c) { return _mm256_fmadd_ps(a, b, c); }    // c + a * b
    static F32 fnma(F32 a, F32 b, F32 c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a * b
    static F32 min(F32 a, F32 b) { return _mm256_min_ps(a, b); }
    static F32 max(F32 a, F32 b) { return _mm256_max_ps(a, b); }
    static Mask less(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
    static Mask equal(F32 a, F32 b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
    static F32 select(Mask mask, F32 yes, F32 no) { return _mm256_blendv_ps(no, yes, mask); }

    static I32 zero_i() { return _mm256_setzero_si256(); }
    static I32 set_i(int32_t value) { return _mm256_set1_epi32(value); }
    static I32 load_i(const void* from) {
        return _mm256_loadu_si256(static_cast<const __m256i*>(from));
    }
    static I32 add_i(I32 a, I32 b) { return _mm256_add_epi32(a, b); }
    static I32 sub_i(I32 a, I32 b) { return _mm256_sub_epi32(a, b); }
    static I32 and_i(I32 a, I32 b) { return _mm256_and_si256(a, b); }
    static I32 or_i(I32 a, I32 b) { return _mm256_or_si256(a, b); }
    static I32 xor_i(I32 a, I32 b) { return _mm256_xor_si256(a, b); }
    static I32 max_i(I32 a, I32 b) { return _mm256_max_epi32(a, b); }
    static I32 shift_left(I32 a, int count) { return _mm256_slli_epi32(a, count); }
    static I32 shift_right(I32 a, int count) { return _mm256_srai_epi32(a, count); }  // signed
    static I32 shift_right_logical(I32 a, int count) { return _mm256_srli_epi32(a, count); }
    static I32 shift_right_halves(I32 a, int count) { return _mm256_srli_epi16(a, count); }

    static F32 to_f32(I32 a) { return _mm256_cvtepi32_ps(a); }
    static I32 to_i32(F32 a) { return _mm256_cvtps_epi32(a); }  // to nearest even
    static I32 bits(F32 a) { return _mm256_castps_si256(a); }
    static F32 from_bits(I32 a) { return _mm256_castsi256_ps(a); }

    static F32 load_bf16(const uint16_t* from) {
        return from_bits(shift_left(_mm256_cvtepu16_epi32(load_halves(from)), 16));
    }
    static F32 load_f16(const uint16_t* from) { return _mm256_cvtph_ps(load_halves(from)); }
    static F32 load_u8(const uint8_t* from) {
        return to_f32(
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
    }
    static void store_f16(uint16_t* to, F32 a) {
        store_halves(to, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    // The low half of every lane.
    static void store_low_halves(uint16_t* to, I32 a) {
        // Within 128 bits: bytes 0, 1, 4, 5, 8, 9, 12, 13 move down.
        const __m256i order = _mm256_set1_epi64x(0x0D0C090805040100);
        const __m256i packed = _mm256_shuffle_epi8(a, order);
        store_halves(to, _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08)));
    }

    // sums + low half * low half + high half * high half, lane by lane.
    static I32 dot_halves(I32 sums, I32 a, I32 b) { return add_i(sums, _mm256_madd_epi16(a, b)); }
    // sums + eight products of an unsigned byte of `codes`, below 16, and a signed byte of `x`,
    // lane by lane. vpmaddubsw saturates at 2^15, which four products do not reach: 4 * 15 * 128.
    static I32 dot_nibbles(I32 sums, const I32 (&codes)[2], const I32 (&x)[2]) {
        const __m256i halves = _mm256_add_epi16(_mm256_maddubs_epi16(codes[0], x[0]),
                                                _mm256_maddubs_epi16(codes[1], x[1]));
        return dot_halves(sums, halves, _mm256_set1_epi16(1));
    }

  private:
    static __m128i load_halves(const uint16_t* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    }
    static void store_halves(uint16_t* to, __m128i a) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), a);
    }
};

}  // namespace
}  // namespace mmoe::cpu
