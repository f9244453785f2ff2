// SPDX-License-Identifier: Apache-2.0
// One block of CPU records and a few activations, for tests of kernel rows: made at random,
// written by the formulas of layout/cpu_record.h, and multiplied in plain loops of double.
#pragma once

#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "cpu/launch.h"

namespace mmoe::parity {

// What activations look like.
enum class Inputs {
    kNormal,    // N(0, 1)
    kShifted,   // N(3, 1): sums do not cancel
    kOutliers,  // N(0, 1), every 61st 30 times as large
    kConstant,  // all 1, with all codes at their largest: the longest integer sums
    kTiny,      // N(0, 1) * 2^-100
    kZero,
};

struct BlockCase {
    const char* name;
    layout::CpuRecordPlan plan;  // of one block
    cpu::Element source = cpu::Element::kBf16;
    Inputs inputs = Inputs::kNormal;
    int lanes = layout::kLanes;  // outputs that exist; the other lanes are padding
};

// 64-byte aligned memory.
class Aligned {
  public:
    explicit Aligned(int64_t bytes, uint8_t fill = 0)
        : memory_(static_cast<size_t>(bytes) + 64, fill) {
        void* at = memory_.data();
        size_t space = memory_.size();
        data_ = static_cast<uint8_t*>(std::align(64, static_cast<size_t>(bytes), at, space));
    }
    [[nodiscard]] uint8_t* data() const { return data_; }

  private:
    std::vector<uint8_t> memory_;
    uint8_t* data_;
};

// A block, and activations as their type holds them.
class BlockProblem {
  public:
    BlockProblem(const BlockCase& spec, int tokens);

    [[nodiscard]] const uint8_t* records() const { return records_.data(); }
    [[nodiscard]] const void* source(int token) const;            // [K]
    void set_input(int token, int64_t k, float value);            // rounded to the source's type
    [[nodiscard]] std::vector<double> expected(int token) const;  // [64]
    // [64] of activations as fixed point holds them: multiples of 1 / limit of the largest of
    // their sum block.
    [[nodiscard]] std::vector<double> expected_of_fixed(int token, float limit) const;

  private:
    [[nodiscard]] std::vector<double> multiply(const double* inputs) const;  // [K] -> [64]
    void make_records(std::mt19937& random);
    void make_inputs(std::mt19937& random);

    const BlockCase& spec_;
    int tokens_;
    Aligned records_;
    std::vector<int> steps_;      // [64, K]: code - zero point
    std::vector<double> scales_;  // [64, groups]
    std::vector<float> inputs_;   // [tokens, K], as the source's type holds them
    std::vector<uint8_t> source_;
};

}  // namespace mmoe::parity
