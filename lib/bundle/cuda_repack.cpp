// SPDX-License-Identifier: Apache-2.0
#include "bundle/cuda_repack.h"

#include "device/cuda_memory.h"

namespace mmoe {

Status repack_on_device(const cuda::RepackSource& source, const cuda::RepackTarget& target,
                        void* stream) {
    return cuda_status(cuda::launch_repack(source, target, stream), "launch of the repacker");
}

}  // namespace mmoe
