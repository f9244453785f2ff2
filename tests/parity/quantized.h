// SPDX-License-Identifier: Apache-2.0
// Random experts in the packing of compressed-tensors, together with what they mean in double.
// The data are drawn as codes, scales and zero points, so that nothing but the library's own
// arithmetic can differ from the oracle.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"
#include "oracle/moe_oracle.h"

namespace mmoe::parity {

// splitmix64: the same numbers on every machine.
class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits();
    double uniform();  // [0, 1)
    double normal();   // mean 0, deviation 1; sum of twelve uniforms

  private:
    uint64_t state_;
};

// One number of a type as it lies in memory. encode() rounds towards zero: what a test needs is
// a number that the type has, not the nearest one.
uint32_t encode(mmoe_dtype dtype, float value);
double decode(mmoe_dtype dtype, uint32_t bits);
size_t size_bytes(mmoe_dtype dtype);

// Elements of one type; the memory of an mmoe_tensor.
class Array {
  public:
    Array() = default;
    Array(mmoe_dtype dtype, std::vector<int64_t> shape);
    void set_bits(int64_t index, uint32_t bits);
    [[nodiscard]] double value(int64_t index) const;
    [[nodiscard]] bool empty() const { return bytes_.empty(); }
    [[nodiscard]] mmoe_tensor tensor();
    [[nodiscard]] std::vector<uint8_t>& bytes() { return bytes_; }

  private:
    mmoe_dtype dtype_ = 0;
    std::vector<int64_t> shape_;
    std::vector<uint8_t> bytes_;
};

struct Scheme {
    int bits = 4;
    int64_t group_size = 32;  // -1: one a channel
    bool asymmetric = false;
    mmoe_dtype scale_dtype = MMOE_DTYPE_BF16;
    mmoe_zero_point_form zero_point_form = MMOE_ZERO_POINT_PACKED;
    bool ordered = false;  // activation order: groups do not follow the columns
};

// One projection: the tensors of the file, and their meaning.
struct QuantizedLinear {
    Array weight;       // [N, K*b/32] i32
    Array scale;        // [N, G]
    Array zero_point;   // [N*b/32, G] i32 or [N, G] i8; empty if symmetric
    Array group_index;  // [K] i32, or empty
    Array bias;         // [N], or empty
    oracle::Linear plain;
};

// [K]: the group of each input; empty unless the scheme is in activation order.
std::vector<int32_t> random_group_index(Random& random, int64_t inputs, const Scheme& scheme);

QuantizedLinear random_linear(Random& random, int64_t outputs, int64_t inputs, const Scheme& scheme,
                              const std::vector<int32_t>& group_index, bool has_bias);

}  // namespace mmoe::parity
