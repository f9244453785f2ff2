// SPDX-License-Identifier: Apache-2.0
// A build without the CUDA toolkit.
#include "device/cuda.h"

namespace mmoe {
namespace {

Status no_backend() {
    return Status::error(Code::kNoDevice, "this build of the library has no CUDA backend");
}

}  // namespace

Result<uint32_t> cuda_device_count() {
    return no_backend();
}

Result<CudaDescription> describe_cuda(uint32_t) {
    return no_backend();
}

Status check_cuda_copy(uint32_t) {
    return no_backend();
}

}  // namespace mmoe
