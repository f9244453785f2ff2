// SPDX-License-Identifier: Apache-2.0
// Launches that overlap: the kernel may start before the one before it on the stream has ended,
// and waits itself for what it needs of it (programmatic dependent launch).
#pragma once

#include <cuda_runtime.h>

namespace mmoe::cuda {

inline cudaLaunchAttribute overlap_attribute() noexcept {
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    return attribute;
}

}  // namespace mmoe::cuda
