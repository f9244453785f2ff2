// SPDX-License-Identifier: Apache-2.0
// Eight lanes of AVX2 with the dot products of AVX-VNNI.
#pragma once

#include "cpu/vector_avx2.h"

namespace mmoe::cpu {
namespace {

struct AvxVnni : Avx2 {
    // The instructions themselves, because gcc 12 copies `sums` around its own functions for them;
    // without the prefix assemblers take their AVX-512 forms.
    static I32 dot_halves(I32 sums, I32 a, I32 b) {
        __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sums) : "x"(a), "x"(b));
        return sums;
    }
    // sums + four products of an unsigned byte of `codes` and a signed byte of `x`, lane by lane.
    static I32 dot_bytes(I32 sums, I32 codes, I32 x) {
        __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(codes), "x"(x));
        return sums;
    }
    // The same with eight products, of codes below 16.
    static I32 dot_nibbles(I32 sums, const I32 (&codes)[2], const I32 (&x)[2]) {
        return dot_bytes(dot_bytes(sums, codes[0], x[0]), codes[1], x[1]);
    }
};

}  // namespace
}  // namespace mmoe::cpu
