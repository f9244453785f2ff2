// SPDX-License-Identifier: Apache-2.0
// fp32 instructions that C++ has no name for.
#pragma once

namespace mmoe::cuda::ptx {

// The smaller and the larger one; NaN if either is (sm_80).
__device__ __forceinline__ float min_nan(float a, float b) {
    float result;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
}
__device__ __forceinline__ float max_nan(float a, float b) {
    float result;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
    return result;
}

// 1 / value to 1 ulp; subnormal results become 0.
__device__ __forceinline__ float rcp_approx(float value) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(value));
    return result;
}

}  // namespace mmoe::cuda::ptx
