// SPDX-License-Identifier: Apache-2.0
// The warm-up before a capture: loads kernels and lets them use their shared memory.
#include <cuda_runtime.h>

#include <utility>

#include "cuda/elementwise.h"
#include "cuda/launch.h"
#include "cuda/routing.h"

namespace mmoe::cuda {
namespace {

struct Current {
    int32_t capability;  // 10 * major + minor
    int32_t shared_memory_bytes;
};

int current_device(Current& current) noexcept {
    int device = 0;
    int major = 0;
    int minor = 0;
    int bytes = 0;
    int status = cudaGetDevice(&device);
    for (const auto& [attribute, value] :
         {std::pair{cudaDevAttrComputeCapabilityMajor, &major},
          std::pair{cudaDevAttrComputeCapabilityMinor, &minor},
          std::pair{cudaDevAttrMaxSharedMemoryPerBlockOptin, &bytes}}) {
        if (status == cudaSuccess) status = cudaDeviceGetAttribute(value, attribute, device);
    }
    current = {10 * major + minor, bytes};
    return status;
}

// The build has no code for this device, as where PTX alone may be used and a row has none.
bool is_missing(int status) noexcept {
    return status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction;
}

int prepare_kernel(const void* kernel, int32_t shared_bytes, const Current& current) noexcept {
    cudaFuncAttributes attributes = {};  // asking loads the kernel
    const int status = cudaFuncGetAttributes(&attributes, kernel);
    if (status != cudaSuccess) return status;
    const size_t bytes = attributes.sharedSizeBytes + static_cast<size_t>(shared_bytes);
    if (bytes > static_cast<size_t>(current.shared_memory_bytes)) return status;  // refused later
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
}

int prepare_row(const Row& row, const Current& current) noexcept {
    int status = cudaSuccess;
    for (const void* kernel : {reinterpret_cast<const void*>(row.gated_kernel),
                               reinterpret_cast<const void*>(row.kernel),
                               reinterpret_cast<const void*>(row.layer_kernel)}) {
        if (kernel == nullptr || status != cudaSuccess) continue;
        status = prepare_kernel(kernel, row.shared_bytes, current);
    }
    return status;
}

}  // namespace

int prepare(uint64_t& distrusted_rows) noexcept {
    Current current = {};
    int status = current_device(current);
    if (status != cudaSuccess) return status;
    for (size_t i = 0; i < rows().size(); ++i) {
        const Row& row = rows()[i];
        const uint64_t bit = uint64_t{1} << i;
        if ((distrusted_rows & bit) != 0) continue;
        if (current.capability < row.first_capability) continue;
        if (current.capability > row.last_capability) continue;
        status = prepare_row(row, current);
        if (is_missing(status)) {
            (void)cudaGetLastError();
            distrusted_rows |= bit;
        } else if (status != cudaSuccess) {
            return status;
        }
    }
    for (const void* kernel : {route_kernel(), route_count_kernel(), route_scatter_kernel(),
                               stage_kernel(), gather_kernel(), combine_kernel()}) {
        cudaFuncAttributes attributes = {};
        status = cudaFuncGetAttributes(&attributes, kernel);
        if (status != cudaSuccess) return status;
    }
    return cudaSuccess;
}

}  // namespace mmoe::cuda
