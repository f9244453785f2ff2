// SPDX-License-Identifier: Apache-2.0
// CUDA devices. This header needs no toolkit; without one, cuda_none.cpp answers instead of
// cuda.cpp that the build has no CUDA backend.
#pragma once

#include <cstdint>

#include "base/status.h"

namespace mmoe {

struct CudaDescription {
    char name[104] = {};
    int32_t multiprocessor_count = 0;
    int32_t compute_major = 0;
    int32_t compute_minor = 0;
    uint32_t shared_memory_bytes = 0;  // most that one block can opt in to
    uint64_t memory_bytes = 0;
    uint64_t memory_free_bytes = 0;
    uint8_t uuid[16] = {};
    uint8_t luid[8] = {};
};

// At least 1. Distinguishes a build without CUDA, no driver, a driver that is too old, no device.
Result<uint32_t> cuda_device_count();

// `index` is below the count. The caller's current device is what it was.
Result<CudaDescription> describe_cuda(uint32_t index);

// Proves that memory of a device takes and gives back what a kernel of this build writes.
Status check_cuda_copy(uint32_t index);

}  // namespace mmoe
