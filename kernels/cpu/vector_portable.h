// SPDX-License-Identifier: Apache-2.0
// Four lanes of the compiler's own vector type, which every processor has in some form, behind
// the names that the templates of this room use. min and max return their second operand where
// one is NaN, as the x86 instructions do.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "layout/number.h"

namespace mmoe::cpu {
namespace {

struct Portable {
    using F32 = float __attribute__((vector_size(16)));
    using I32 = int32_t __attribute__((vector_size(16)));
    using U32 = uint32_t __attribute__((vector_size(16)));
    using Mask = I32;
    static constexpr int kWidth = 4;

    static constexpr int pass_vectors(int tokens) { return tokens <= 2 ? 4 : 2; }

    static F32 zero() { return F32{}; }
    static F32 set(float value) { return F32{value, value, value, value}; }
    static F32 load(const float* from) { return load_as<F32>(from); }
    static void store(float* to, F32 a) { std::memcpy(to, &a, sizeof a); }
    static F32 add(F32 a, F32 b) { return a + b; }
    static F32 sub(F32 a, F32 b) { return a - b; }
    static F32 mul(F32 a, F32 b) { return a * b; }
    static F32 div(F32 a, F32 b) { return a / b; }
    static F32 fma(F32 a, F32 b, F32 c) { return c + a * b; }   // rounds twice
    static F32 fnma(F32 a, F32 b, F32 c) { return c - a * b; }  // rounds twice
    static F32 min(F32 a, F32 b) { return select(a < b, a, b); }
    static F32 max(F32 a, F32 b) { return select(a > b, a, b); }
    static Mask less(F32 a, F32 b) { return a < b; }
    static Mask equal(F32 a, F32 b) { return a == b; }
    static F32 select(Mask mask, F32 yes, F32 no) {
        return from_bits((bits(yes) & mask) | (bits(no) & ~mask));
    }

    static I32 set_i(int32_t value) { return I32{value, value, value, value}; }
    static I32 load_i(const void* from) { return load_as<I32>(from); }
    static I32 add_i(I32 a, I32 b) { return I32(U32(a) + U32(b)); }
    static I32 sub_i(I32 a, I32 b) { return I32(U32(a) - U32(b)); }
    static I32 and_i(I32 a, I32 b) { return a & b; }
    static I32 or_i(I32 a, I32 b) { return a | b; }
    static I32 xor_i(I32 a, I32 b) { return a ^ b; }
    static I32 shift_left(I32 a, int count) { return I32(U32(a) << count); }
    static I32 shift_right(I32 a, int count) { return a >> count; }
    static I32 shift_right_logical(I32 a, int count) { return I32(U32(a) >> count); }

    static F32 to_f32(I32 a) { return __builtin_convertvector(a, F32); }
    static I32 bits(F32 a) { return I32(a); }
    static F32 from_bits(I32 a) { return F32(a); }

    static F32 load_bf16(const uint16_t* from) {
        return F32{layout::bf16_to_f32(from[0]), layout::bf16_to_f32(from[1]),
                   layout::bf16_to_f32(from[2]), layout::bf16_to_f32(from[3])};
    }
    static F32 load_f16(const uint16_t* from) {
        return F32{layout::f16_to_f32(from[0]), layout::f16_to_f32(from[1]),
                   layout::f16_to_f32(from[2]), layout::f16_to_f32(from[3])};
    }
    static F32 load_u8(const uint8_t* from) {
        return F32{float(from[0]), float(from[1]), float(from[2]), float(from[3])};
    }
    static void store_f16(uint16_t* to, F32 a) {
        for (int i = 0; i < kWidth; ++i) to[i] = layout::f32_to_f16(a[i]);
    }
    static void store_low_halves(uint16_t* to, I32 a) {
        for (int i = 0; i < kWidth; ++i) to[i] = static_cast<uint16_t>(a[i]);
    }

  private:
    template <class Vector>
    static Vector load_as(const void* from) {
        Vector vector;
        std::memcpy(&vector, from, sizeof vector);
        return vector;
    }
};

}  // namespace
}  // namespace mmoe::cpu
