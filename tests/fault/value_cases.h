// SPDX-License-Identifier: Apache-2.0
// Values that no model should have, and what the library makes of them: one table for every
// device. A value stands in one place of a layer that is otherwise ordinary.
#pragma once

#include <cstdint>
#include <limits>

#include "parity/problem.h"

namespace mmoe::fault {

// Where the value stands. Scales and biases: of expert 0.
enum class Where {
    kGateScale,     // one output of the gate projection
    kDownScale,     // one output of the down projection
    kAllScales,     // every scale of the layer is multiplied by the value
    kBias,          // one output of the up projection
    kZeroPoint,     // one signed byte
    kHidden,        // one element of token 1
    kAllHidden,     // every element of every token is multiplied by the value
    kRouterWeight,  // of token 1's first expert
    kId,            // token 1's first expert
    kNothing,
};

enum class Outcome {
    kRefused,  // MMOE_ERR_BAD_DATA when the tensor is given
    kAnswer,   // the oracle's numbers: finite exactly where they are numbers of the output's type
};

struct ValueCase {
    const char* name;
    Where where;
    double value;
    Outcome outcome;
};

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

inline constexpr ValueCase kValueCases[] = {
    {"nothing unusual", Where::kNothing, 0, Outcome::kAnswer},
    {"NaN scale", Where::kGateScale, kNaN, Outcome::kRefused},
    {"infinite scale", Where::kGateScale, kInfinity, Outcome::kRefused},
    {"infinite negative scale", Where::kDownScale, -kInfinity, Outcome::kRefused},
    {"zero scale", Where::kGateScale, 0, Outcome::kAnswer},
    {"negative zero scale", Where::kDownScale, -0.0, Outcome::kAnswer},
    {"negative scale", Where::kGateScale, -0.0625, Outcome::kAnswer},
    {"negative scale of down", Where::kDownScale, -0.0625, Outcome::kAnswer},
    {"denormal scale", Where::kGateScale, 0x1p-130, Outcome::kAnswer},
    {"the smallest scale", Where::kDownScale, 0x1p-133, Outcome::kAnswer},
    {"all scales zero", Where::kAllScales, 0, Outcome::kAnswer},
    {"all scales negative", Where::kAllScales, -1, Outcome::kAnswer},
    {"tiny weights", Where::kAllScales, 0x1p-20, Outcome::kAnswer},
    {"huge weights", Where::kAllScales, 0x1p20, Outcome::kAnswer},
    {"weights beyond the output", Where::kAllScales, 0x1p60, Outcome::kAnswer},
    {"NaN bias", Where::kBias, kNaN, Outcome::kRefused},
    {"infinite bias", Where::kBias, kInfinity, Outcome::kRefused},
    {"huge bias", Where::kBias, 0x1p60, Outcome::kAnswer},
    {"zero point of -9", Where::kZeroPoint, -9, Outcome::kRefused},
    {"zero point of 8", Where::kZeroPoint, 8, Outcome::kRefused},
    {"zero point of -128", Where::kZeroPoint, -128, Outcome::kRefused},
    {"zero point of -8", Where::kZeroPoint, -8, Outcome::kAnswer},
    {"zero point of 7", Where::kZeroPoint, 7, Outcome::kAnswer},
    {"hidden NaN", Where::kHidden, kNaN, Outcome::kAnswer},
    {"hidden infinity", Where::kHidden, kInfinity, Outcome::kAnswer},
    {"hidden negative infinity", Where::kHidden, -kInfinity, Outcome::kAnswer},
    {"hidden denormal", Where::kHidden, 0x1p-133, Outcome::kAnswer},
    {"all hidden zero", Where::kAllHidden, 0, Outcome::kAnswer},
    {"all hidden tiny", Where::kAllHidden, 0x1p-40, Outcome::kAnswer},
    {"all hidden huge", Where::kAllHidden, 0x1p40, Outcome::kAnswer},
    {"router weight NaN", Where::kRouterWeight, kNaN, Outcome::kAnswer},
    {"router weight infinity", Where::kRouterWeight, kInfinity, Outcome::kAnswer},
    {"router weight zero", Where::kRouterWeight, 0, Outcome::kAnswer},
    {"router weight negative", Where::kRouterWeight, -3, Outcome::kAnswer},
    {"router weight denormal", Where::kRouterWeight, 0x1p-140, Outcome::kAnswer},
    {"the same id twice", Where::kId, 2, Outcome::kAnswer},
    {"id -1", Where::kId, -1, Outcome::kAnswer},
    {"id E", Where::kId, 4, Outcome::kAnswer},
    {"id INT32_MIN", Where::kId, INT32_MIN, Outcome::kAnswer},
    {"id INT32_MAX", Where::kId, INT32_MAX, Outcome::kAnswer},
};

// The layer that the values stand in. Zero points are signed bytes, which can be out of range.
inline constexpr parity::Case kValueLayer = {
    .name = "values",
    .tokens = 3,
    .experts = 4,
    .top_k = 2,
    .hidden = 64,
    .intermediate = 64,
    .scheme = {.asymmetric = true, .zero_point_form = MMOE_ZERO_POINT_INT8},
    .flags = MMOE_LAYER_BIAS,
    .hidden_dtype = MMOE_DTYPE_F32,
};

}  // namespace mmoe::fault
