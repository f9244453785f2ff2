// SPDX-License-Identifier: Apache-2.0
// 16-bit floating point numbers to and from wider ones.
#pragma once

#include <cstdint>
#include <vector>

#include "marlin_moe.h"

namespace tool {

// Elements of a bf16, f16 or f32 tensor, widened exactly.
std::vector<double> widen(const void* data, size_t count, mmoe_dtype dtype);
// The nearest numbers of a bf16, f16 or f32 tensor, ties to even, as its bytes.
std::vector<uint8_t> narrow(const std::vector<float>& values, mmoe_dtype dtype);
// 2 or 4.
size_t float_bytes(mmoe_dtype dtype);

}  // namespace tool
