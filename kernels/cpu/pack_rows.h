// SPDX-License-Identifier: Apache-2.0
// Packs one row of hidden states into a format of the rows: each sum block is widened to fp32 and
// padded with zeros to whole tiles, then written with its sum and, in fixed point, its scale.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "cpu/launch.h"

namespace mmoe::cpu {
namespace {

template <class V>
inline typename V::F32 load_elements(Element type, const void* source, int64_t index) {
    switch (type) {
        case Element::kF16:
            return V::load_f16(static_cast<const uint16_t*>(source) + index);
        case Element::kBf16:
            return V::load_bf16(static_cast<const uint16_t*>(source) + index);
        default:
            return V::load(static_cast<const float*>(source) + index);
    }
}

// One sum block: `count` inputs from `first` on, then zeros.
template <class V>
inline void load_block(const PackArgs& args, int64_t first, int64_t count,
                       float (&values)[kSumBlockInputs]) {
    int64_t i = 0;
    for (; i + V::kWidth <= count; i += V::kWidth) {
        V::store(values + i, load_elements<V>(args.source_type, args.source, first + i));
    }
    std::fill_n(values + i, kSumBlockInputs - i, 0.0F);
    if (i == count) return;
    // The rest goes through a vector of its own: nothing is read past the source.
    const auto bytes = static_cast<int64_t>(element_bytes(args.source_type));
    alignas(64) uint8_t rest[V::kWidth * sizeof(float)] = {};
    std::memcpy(rest, static_cast<const uint8_t*>(args.source) + (first + i) * bytes,
                static_cast<size_t>((count - i) * bytes));
    V::store(values + i, load_elements<V>(args.source_type, rest, 0));
}

// Calls write(values, input, padded count, sum block) for every sum block; `input` counts padded
// inputs.
template <class V, class Write>
inline void for_sum_blocks(const PackArgs& args, Write&& write) {
    const layout::CpuRecordPlan& plan = *args.plan;
    int64_t input = 0;
    int64_t sum_block = 0;
    for (int64_t group = 0; group < plan.groups(); ++group) {
        for (int64_t k = 0; k < plan.padded_group(); k += kSumBlockInputs, ++sum_block) {
            const int64_t padded = std::min(kSumBlockInputs, plan.padded_group() - k);
            alignas(64) float values[kSumBlockInputs];
            load_block<V>(args, group * plan.group_size + k, std::min(padded, plan.group_size - k),
                          values);
            write(values, input, padded, sum_block);
            input += padded;
        }
    }
}

// In one fixed order, so that equal inputs give equal sums.
template <class V>
inline float sum_of(const float (&values)[kSumBlockInputs]) {
    typename V::F32 sums = V::zero();
    for (int64_t i = 0; i < kSumBlockInputs; i += V::kWidth) {
        sums = V::add(sums, V::load(values + i));
    }
    alignas(64) float lanes[V::kWidth];
    V::store(lanes, sums);
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    return sum;
}

template <class V>
inline void pack_f32_row(const PackArgs& args) {
    auto* x = static_cast<float*>(args.x);
    for_sum_blocks<V>(args, [&](const float(&values)[kSumBlockInputs], int64_t input,
                                int64_t padded, int64_t sum_block) {
        std::memcpy(x + input, values, static_cast<size_t>(padded) * sizeof(float));
        args.x_sum[sum_block] = sum_of<V>(values);
    });
}

// Only for bf16 sources: every value is one.
template <class V>
inline void pack_bf16_row(const PackArgs& args) {
    auto* x = static_cast<uint16_t*>(args.x);
    for_sum_blocks<V>(args, [&](const float(&values)[kSumBlockInputs], int64_t input,
                                int64_t padded, int64_t sum_block) {
        alignas(64) uint16_t halves[kSumBlockInputs];
        for (int64_t i = 0; i < kSumBlockInputs; i += V::kWidth) {
            V::store_low_halves(halves + i,
                                V::shift_right_logical(V::bits(V::load(values + i)), 16));
        }
        std::memcpy(x + input, halves, static_cast<size_t>(padded) * sizeof(uint16_t));
        args.x_sum[sum_block] = sum_of<V>(values);
    });
}

// ---- Fixed point -----------------------------------------------------------------------------

constexpr float kLargestInPlanes = 127 * 256 + 127;  // of kInt16Planes

constexpr int32_t kInfinityBits = 0x7F800000;

// Below this largest value a block counts as zeros: its scale would be a denormal.
constexpr float kSmallestBlock = 0x1p-110F;

// Bits of the largest magnitude. As integers magnitudes keep their order, and infinity and NaN
// are above all others.
template <class V>
inline int32_t largest_bits(const float (&values)[kSumBlockInputs]) {
    const typename V::I32 magnitude = V::set_i(0x7FFFFFFF);
    typename V::I32 largest = V::zero_i();
    for (int64_t i = 0; i < kSumBlockInputs; i += V::kWidth) {
        largest = V::max_i(largest, V::and_i(V::bits(V::load(values + i)), magnitude));
    }
    alignas(64) int32_t lanes[V::kWidth];
    V::store(reinterpret_cast<float*>(lanes), V::from_bits(largest));
    int32_t bits = 0;
    for (const int32_t lane : lanes) bits = std::max(bits, lane);
    return bits;
}

// Rounds values * factor to integers; returns their sum, below 2^24 and so exact.
template <class V>
inline float quantize(const float (&values)[kSumBlockInputs], float factor,
                      int16_t (&out)[kSumBlockInputs]) {
    typename V::I32 sums = V::zero_i();
    for (int64_t i = 0; i < kSumBlockInputs; i += V::kWidth) {
        const typename V::I32 rounded = V::to_i32(V::mul(V::load(values + i), V::set(factor)));
        V::store_low_halves(reinterpret_cast<uint16_t*>(out) + i, rounded);
        sums = V::add_i(sums, rounded);
    }
    alignas(64) int32_t lanes[V::kWidth];
    V::store(reinterpret_cast<float*>(lanes), V::from_bits(sums));
    int32_t sum = 0;
    for (const int32_t lane : lanes) sum += lane;
    return static_cast<float>(sum);
}

// Calls write(integers, input, padded count) for every sum block, whose largest magnitude is
// `limit`. A block that holds infinity or NaN becomes zeros with scale NaN: every output of its
// token is NaN.
template <class V, class Write>
inline void pack_fixed_row(const PackArgs& args, float limit, Write&& write) {
    for_sum_blocks<V>(args, [&](const float(&values)[kSumBlockInputs], int64_t input,
                                int64_t padded, int64_t sum_block) {
        alignas(64) int16_t fixed[kSumBlockInputs] = {};
        const int32_t bits = largest_bits<V>(values);
        float largest;
        std::memcpy(&largest, &bits, sizeof largest);
        float sum = 0;
        float scale = 0;
        if (bits >= kInfinityBits) {
            scale = __builtin_nanf("");
        } else if (largest >= kSmallestBlock) {
            scale = largest / limit;
            sum = quantize<V>(values, limit / largest, fixed);
        }
        write(fixed, input, static_cast<size_t>(padded));
        args.x_sum[sum_block] = sum;
        args.x_scale[sum_block] = scale;
    });
}

template <class V>
inline void pack_int16_row(const PackArgs& args) {
    auto* x = static_cast<int16_t*>(args.x);
    pack_fixed_row<V>(args, 32767.0F,
                      [&](const int16_t(&fixed)[kSumBlockInputs], int64_t input, size_t padded) {
                          std::memcpy(x + input, fixed, padded * sizeof(int16_t));
                      });
}

// A byte of each integer, in the order of codes: byte(i) of integer i.
template <class Byte>
inline void order_bytes(int bits, Byte&& byte, uint64_t (&ordered)[kSumBlockInputs / 8]) {
    int8_t bytes[kSumBlockInputs];
    for (int64_t i = 0; i < kSumBlockInputs; ++i) bytes[i] = static_cast<int8_t>(byte(i));
    std::memcpy(ordered, bytes, sizeof ordered);
    for (uint64_t& eight : ordered) eight = layout::cpu_byte_order(eight, bits);
}

// The largest integer is 127 * 256 + 127, so that the low plane can be signed.
template <class V>
inline void pack_int16_planes_row(const PackArgs& args) {
    auto* x = static_cast<int16_t*>(args.x);
    const int bits = args.plan->bits;
    pack_fixed_row<V>(args, kLargestInPlanes,
                      [&](const int16_t(&fixed)[kSumBlockInputs], int64_t input, size_t padded) {
                          const auto high_of = [&](int64_t i) { return (fixed[i] + 128) >> 8; };
                          uint64_t high[kSumBlockInputs / 8];
                          uint64_t low[kSumBlockInputs / 8];
                          order_bytes(bits, high_of, high);
                          order_bytes(
                              bits, [&](int64_t i) { return fixed[i] - 256 * high_of(i); }, low);
                          uint32_t words[kSumBlockInputs / 2];
                          for (int64_t i = 0; i < kSumBlockInputs / 8; ++i) {
                              words[4 * i] = static_cast<uint32_t>(high[i]);
                              words[4 * i + 1] = static_cast<uint32_t>(low[i]);
                              words[4 * i + 2] = static_cast<uint32_t>(high[i] >> 32);
                              words[4 * i + 3] = static_cast<uint32_t>(low[i] >> 32);
                          }
                          std::memcpy(x + input, words, padded * sizeof(int16_t));
                      });
}

template <class V>
inline void pack_int8_row(const PackArgs& args) {
    auto* x = static_cast<int8_t*>(args.x);
    const int bits = args.plan->bits;
    pack_fixed_row<V>(args, 127.0F,
                      [&](const int16_t(&fixed)[kSumBlockInputs], int64_t input, size_t padded) {
                          uint64_t ordered[kSumBlockInputs / 8];
                          order_bytes(
                              bits, [&](int64_t i) { return fixed[i]; }, ordered);
                          std::memcpy(x + input, ordered, padded);
                      });
}

}  // namespace
}  // namespace mmoe::cpu
