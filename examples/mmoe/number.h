// SPDX-License-Identifier: Apache-2.0
// Elements of 16 and 32 bits as they lie in memory, and random numbers that are the same
// everywhere.
#pragma once

#include <marlin_moe.h>

#include <cstdint>
#include <vector>

namespace mmoe_tool {

// Floating-point elements only: F32, F16 and BF16.
size_t element_bytes(mmoe_dtype dtype);
const char* dtype_name(mmoe_dtype dtype);

// Rounds to nearest, ties to even.
std::vector<uint8_t> encode(mmoe_dtype dtype, const std::vector<float>& values);
std::vector<double> decode(mmoe_dtype dtype, const std::vector<uint8_t>& bytes);

// splitmix64.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits();
    float uniform();  // [0, 1)
    float normal();   // mean 0, deviation 1: a sum of twelve uniforms

  private:
    uint64_t state_;
};

// top_k different experts for every token, all equally likely: [T, top_k].
std::vector<int32_t> random_experts(Random& random, int64_t tokens, int64_t top_k,
                                    int64_t expert_count);
// Positive weights that add up to 1 for every token: [T, top_k].
std::vector<float> random_router_weights(Random& random, int64_t tokens, int64_t top_k);

}  // namespace mmoe_tool
