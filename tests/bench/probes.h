// SPDX-License-Identifier: Apache-2.0
// What one core can do at best, measured in the process that measures the kernels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mmoe::bench {

inline constexpr int64_t kProbeSteps = int64_t{1} << 22;
inline constexpr double kOperationsPerStep = 16 * 64;  // instructions x (16 lanes x 2 products x 2)

// Reads every cache line once, in one stream with prefetch as the kernels have it.
void read_all(const uint8_t* memory, size_t bytes);
// Independent chains of vdpbf16ps. Needs AVX512-BF16.
void multiply_bf16(int64_t steps);

}  // namespace mmoe::bench
