// SPDX-License-Identifier: Apache-2.0
// What happens to results between the two GEMMs and after the second: activation functions,
// weighted sums, narrowing. NaN and infinity pass through as the formulas have them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>

#include "cpu/launch.h"
#include "cpu/unroll.h"

namespace mmoe::cpu {
namespace {

using layout::kHalfLanes;
using layout::kLanes;

// ---- Functions -------------------------------------------------------------------------------

// c[0] + x * (c[1] + x * ...)
template <class V, int Count>
inline typename V::F32 polynomial(typename V::F32 x, const float (&c)[Count]) {
    typename V::F32 sum = V::set(c[Count - 1]);
    MMOE_UNROLL
    for (int i = Count - 2; i >= 0; --i) sum = V::fma(sum, x, V::set(c[i]));
    return sum;
}

// 2^n for integers |n| <= 126.
template <class V>
inline typename V::F32 power_of_two(typename V::I32 n) {
    return V::from_bits(V::shift_left(V::add_i(n, V::set_i(127)), 23));
}

// e^x with a relative error below 2^-22: x = n ln 2 + r, e^x = 2^n e^r, and 2^n in two factors,
// so that results may be denormal or infinite.
template <class V>
inline typename V::F32 exponential(typename V::F32 x) {
    // (e^r - 1 - r) / r^2 on |r| <= ln(2) / 2, relative error 1.3e-7: minimax fit in 40 digits.
    constexpr float kTail[] = {0x1p-1F, 0x1.5554DEp-3F, 0x1.5555BAp-5F, 0x1.120B24p-7F,
                               0x1.6C69EEp-10F};
    // Beyond these e^x is 0 or infinity in fp32. The order of operands keeps NaN.
    x = V::max(V::set(-104), V::min(V::set(89), x));
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    const typename V::F32 rounder = V::set(0x1.8p23F);
    const typename V::F32 shifted = V::fma(x, V::set(0x1.715476p0F), rounder);
    const typename V::F32 n = V::sub(shifted, rounder);
    typename V::F32 r = V::fnma(n, V::set(0x1.62E4p-1F), x);  // ln 2 in two parts; n has few bits
    r = V::fnma(n, V::set(0x1.7F7D1Cp-20F), r);
    const typename V::F32 e_r = V::fma(V::mul(r, r), polynomial<V>(r, kTail), V::add(r, V::set(1)));
    const typename V::I32 n_bits = V::sub_i(V::bits(shifted), V::bits(rounder));
    const typename V::I32 half = V::shift_right(n_bits, 1);
    const typename V::I32 rest = V::sub_i(n_bits, half);
    return V::mul(V::mul(e_r, power_of_two<V>(half)), power_of_two<V>(rest));
}

// a / (1 + e^-b)
template <class V>
inline typename V::F32 times_sigmoid(typename V::F32 a, typename V::F32 b) {
    return V::div(a, V::add(V::set(1), exponential<V>(V::sub(V::zero(), b))));
}

// a * (1 + erf(a / sqrt 2)) / 2, where 1 + erf is computed as erfc of |a|, without cancellation:
// erfc(z) = e^(-z^2) * erfcx(z), z^2 = a^2 / 2.
template <class V>
inline typename V::F32 gelu(typename V::F32 a) {
    // erfcx(z) / t with t = 1 / (1 + 0.4 z), 0 <= z <= 9.5, relative error 5.8e-8: minimax fit
    // in 40 digits.
    constexpr float kErfcx[] = {0.22562630474567413F, 0.22657568752765656F, 0.20095880329608917F,
                                0.1969621777534485F,  0.07151034474372864F, 0.0997265875339508F,
                                0.0738447979092598F,  -0.1354723870754242F, 0.040267765522003174F};
    const typename V::F32 magnitude = V::from_bits(V::and_i(V::bits(a), V::set_i(0x7FFFFFFF)));
    const typename V::F32 t =
        V::div(V::set(1), V::fma(magnitude, V::set(0.28284271F), V::set(1)));  // 0.4 / sqrt 2
    const typename V::F32 erfcx = V::mul(t, polynomial<V>(t, kErfcx));
    const typename V::F32 decay = exponential<V>(V::mul(V::mul(a, a), V::set(-0.5F)));
    const typename V::F32 tail = V::mul(V::set(0.5F), V::mul(decay, erfcx));  // below -|a|
    const typename V::F32 share = V::select(V::less(a, V::zero()), tail, V::sub(V::set(1), tail));
    return V::mul(a, share);
}

// 1 + tanh(u) = 2 * sigmoid(2 u)
template <class V>
inline typename V::F32 gelu_tanh(typename V::F32 a) {
    const typename V::F32 cubed = V::mul(V::mul(a, a), a);
    const typename V::F32 inner = V::fma(cubed, V::set(0.044715F), a);
    return times_sigmoid<V>(a, V::mul(inner, V::set(1.5957691216F)));  // 2 sqrt(2 / pi)
}

template <class V>
inline typename V::F32 relu_squared(typename V::F32 a) {
    const typename V::F32 positive = V::max(V::zero(), a);
    return V::mul(positive, positive);
}

// ---- Activation ------------------------------------------------------------------------------

// Values after router weight and bias.
template <class V>
inline typename V::F32 biased(const ActivateArgs& args, int lane) {
    const typename V::F32 bias = args.bias != nullptr ? V::load(args.bias + lane) : V::zero();
    return V::fma(V::load(args.values + lane), V::set(args.weight), bias);
}

template <class V>
inline typename V::F32 activated(const ActivateArgs& args, typename V::F32 gate) {
    switch (args.activation) {
        case Activation::kSilu:
            return times_sigmoid<V>(gate, V::mul(V::set(args.alpha), gate));
        case Activation::kGelu:
            return gelu<V>(gate);
        case Activation::kGeluTanh:
            return gelu_tanh<V>(gate);
        default:
            return relu_squared<V>(gate);
    }
}

template <class V>
inline void activate_block(const ActivateArgs& args) {
    alignas(64) float results[kLanes];
    const int lanes = args.gated ? kHalfLanes : kLanes;
    const typename V::F32 limit = V::set(args.limit);
    for (int lane = 0; lane < lanes; lane += V::kWidth) {
        const typename V::F32 gate = V::min(limit, biased<V>(args, lane));
        typename V::F32 result = activated<V>(args, gate);
        if (args.gated) {
            typename V::F32 up = V::min(limit, biased<V>(args, lane + kHalfLanes));
            up = V::max(V::sub(V::zero(), limit), up);
            if (args.activation == Activation::kSilu) up = V::add(up, V::set(args.beta));
            result = V::mul(result, up);
        }
        V::store(results + lane, result);
    }
    std::memcpy(args.out, results, static_cast<size_t>(args.outputs) * sizeof(float));
}

// ---- Combination -----------------------------------------------------------------------------

template <class V>
inline void combine_block(const CombineArgs& args) {
    int64_t i = 0;
    for (; i + V::kWidth <= args.outputs; i += V::kWidth) {
        typename V::F32 value = V::load(args.values + i);
        if (args.bias != nullptr) value = V::add(value, V::load(args.bias + i));
        V::store(args.sum + i, V::fma(V::set(args.weight), value, V::load(args.sum + i)));
    }
    for (; i < args.outputs; ++i) {
        const float bias = args.bias != nullptr ? args.bias[i] : 0.0F;
        args.sum[i] += args.weight * (args.values[i] + bias);
    }
}

// ---- Narrowing -------------------------------------------------------------------------------

// Bits of bf16 in the low half of every lane.
template <class V>
inline typename V::I32 narrowed_to_bf16(typename V::F32 a) {
    const typename V::I32 bits = V::bits(a);
    const typename V::I32 odd =
        V::and_i(V::shift_right_logical(bits, 16), V::set_i(1));  // ties to even
    const typename V::I32 rounded =
        V::shift_right_logical(V::add_i(bits, V::add_i(odd, V::set_i(0x7FFF))), 16);
    const typename V::I32 quiet = V::or_i(V::shift_right_logical(bits, 16), V::set_i(0x40));
    // NaN alone compares unequal to itself, and must not be rounded to infinity.
    const auto number = V::equal(a, a);
    return V::bits(V::select(number, V::from_bits(rounded), V::from_bits(quiet)));
}

template <class V>
inline void store_sums(Element type, int64_t count, const float* sums, void* out) {
    if (type == Element::kF32) {
        std::memcpy(out, sums, static_cast<size_t>(count) * sizeof(float));
        return;
    }
    auto* halves = static_cast<uint16_t*>(out);
    const auto narrow = [type](uint16_t* to, const float* from) {
        if (type == Element::kF16) {
            V::store_f16(to, V::load(from));
        } else {
            V::store_low_halves(to, narrowed_to_bf16<V>(V::load(from)));
        }
    };
    int64_t i = 0;
    for (; i + V::kWidth <= count; i += V::kWidth) narrow(halves + i, sums + i);
    if (i == count) return;
    float rest[V::kWidth] = {};
    uint16_t narrowed[V::kWidth];
    std::memcpy(rest, sums + i, static_cast<size_t>(count - i) * sizeof(float));
    narrow(narrowed, rest);
    std::memcpy(halves + i, narrowed, static_cast<size_t>(count - i) * sizeof(uint16_t));
}

}  // namespace
}  // namespace mmoe::cpu
