// SPDX-License-Identifier: Apache-2.0
// What kernels of fixed point rows share: activations are integers, sums of a sum block are exact
// in 32 bits and start at -2^(bits-1) * (sum of x), which centres the codes without a subtraction
// for each.
#pragma once

#include <cstring>

#include "cpu/gemm.h"

namespace mmoe::cpu {
namespace {

// Sums of one pass as integers; packed sums of x are integers below 2^24.
template <class V, int Bits, int Vectors, int Tokens>
inline void start_centred(const float (&x_sum)[Tokens], typename V::I32 (&whole)[Vectors][Tokens]) {
    MMOE_UNROLL
    for (int t = 0; t < Tokens; ++t) {
        const typename V::I32 start =
            V::sub_i(V::zero_i(), V::shift_left(V::to_i32(V::set(x_sum[t])), Bits - 1));
        MMOE_UNROLL
        for (int v = 0; v < Vectors; ++v) whole[v][t] = start;
    }
}

template <class V, int Vectors, int Tokens>
inline void widen_sums(const typename V::I32 (&whole)[Vectors][Tokens],
                       typename V::F32 (&sums)[Vectors][Tokens]) {
    MMOE_UNROLL
    for (int v = 0; v < Vectors; ++v) {
        MMOE_UNROLL
        for (int t = 0; t < Tokens; ++t) sums[v][t] = V::to_f32(whole[v][t]);
    }
}

// Four bytes of activations in every lane.
template <class V>
inline typename V::I32 broadcast_word(const void* word) {
    int32_t value;
    std::memcpy(&value, word, sizeof value);
    return V::set_i(value);
}

}  // namespace
}  // namespace mmoe::cpu
