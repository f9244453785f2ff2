// SPDX-License-Identifier: Apache-2.0
// bundle/cuda_repack.h in a build without the CUDA toolkit.
#include "bundle/cuda_repack.h"

namespace mmoe {

Status repack_on_device(const cuda::RepackSource& /*source*/, const cuda::RepackTarget& /*target*/,
                        void* /*stream*/) {
    return Status::error(Code::kNoDevice, "this build of the library has no CUDA backend");
}

}  // namespace mmoe
