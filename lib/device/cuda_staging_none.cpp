// SPDX-License-Identifier: Apache-2.0
// device/cuda_staging.h in a build without the CUDA toolkit.
#include "device/cuda_staging.h"

namespace mmoe {
namespace {

Status no_backend() {
    return Status::error(Code::kNoDevice, "this build of the library has no CUDA backend");
}

}  // namespace

Result<std::unique_ptr<CudaStaging>> CudaStaging::create(const Context& /*context*/,
                                                         uint64_t /*size_bytes*/) {
    return no_backend();
}
CudaStaging::~CudaStaging() = default;
Status CudaStaging::send(uint64_t /*size_bytes*/) {
    return no_backend();
}
Status CudaStaging::wait() {
    return no_backend();
}
Result<std::unique_ptr<CudaStaging>> CudaStagingPool::take(const Context& /*context*/,
                                                           uint64_t /*size_bytes*/) {
    return no_backend();
}
void CudaStagingPool::give_back(std::unique_ptr<CudaStaging> /*staging*/) {}
void CudaStagingPool::release() noexcept {}

}  // namespace mmoe
