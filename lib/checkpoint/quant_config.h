// SPDX-License-Identifier: Apache-2.0
// How weights were quantised, as a value: the inside of the quant config handle.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "layout/number.h"

namespace mmoe {

// Values of the enumerations of the public header with the same names.
enum class Format : int32_t { kCompressedTensors = 0, kGptq = 1, kAwq = 2, kMarlin = 3 };
enum class Symmetry : int32_t { kSymmetric = 0, kAsymmetric = 1 };
enum class ZeroPointForm : int32_t {
    kPacked = 0,        // true values, as the format packs them
    kInt8 = 1,          // one signed byte each (compressed-tensors before 0.9.4)
    kMinusOne = 2,      // GPTQ v1: each field holds the zero point minus one
    kMinusOneWord = 3,  // GPTQ v1 of GPTQModel: one was subtracted from all fields of a word at
                        // once, with borrows
};
inline constexpr Format kLastFormat = Format::kAwq;  // the last that has a reader
inline constexpr ZeroPointForm kLastZeroPointForm = ZeroPointForm::kMinusOneWord;
enum class Order : int32_t { kNone = 0, kStatic = 1, kGroup = 2 };

[[nodiscard]] const char* format_name(Format format) noexcept;

struct QuantConfig {
    Format format = Format::kCompressedTensors;
    int bits = 4;
    std::optional<int32_t> group_size;  // absent: one scale a channel
    Symmetry symmetry = Symmetry::kSymmetric;
    ZeroPointForm zero_point_form = ZeroPointForm::kPacked;
    Order order = Order::kNone;
    std::optional<layout::ScaleType> scale_type;  // absent: as the tensors say

    [[nodiscard]] bool asymmetric() const noexcept { return symmetry == Symmetry::kAsymmetric; }
    // Group size along an axis of K inputs.
    [[nodiscard]] int64_t group_size_for(int64_t inputs) const noexcept {
        return group_size ? *group_size : inputs;
    }
    [[nodiscard]] bool operator==(const QuantConfig&) const noexcept = default;
};

// Refuses fields that no writer produces: bits that are neither 4 nor 8, group size 0, ...
Status validate(const QuantConfig& config);

// "4-bit asymmetric, group size 128", for sentences.
std::string describe(const QuantConfig& config);

}  // namespace mmoe
