// SPDX-License-Identifier: Apache-2.0
// device/cuda_memory.h in a build without the CUDA toolkit.
#include "device/cuda_memory.h"

namespace mmoe {
namespace {

Status no_backend() {
    return Status::error(Code::kNoDevice, "this build of the library has no CUDA backend");
}

}  // namespace

bool cuda_is_built() noexcept {
    return false;
}
Status cuda_status(int /*error*/, const char* /*what*/) {
    return no_backend();
}
Result<CudaPlace> cuda_place(int32_t /*device*/) {
    return no_backend();
}
Result<CudaScope> CudaScope::enter(const CudaPlace& /*place*/) {
    return no_backend();
}
Result<CudaScope> CudaScope::enter(const CudaPlace& /*place*/, void* /*stream*/) {
    return no_backend();
}
Result<CudaScope> CudaScope::enter_primary(int32_t /*device*/) {
    return no_backend();
}
CudaScope::~CudaScope() = default;
Result<DeviceBuffer> DeviceBuffer::create(const CudaPlace& /*place*/,
                                          std::shared_ptr<const Allocator> /*allocator*/,
                                          uint64_t /*size_bytes*/, const char* /*what*/) {
    return no_backend();
}
DeviceBuffer::~DeviceBuffer() = default;
Result<DeviceFlag> DeviceFlag::create(const CudaPlace& /*place*/) {
    return no_backend();
}
DeviceFlag::~DeviceFlag() = default;
Status copy_to_device(void* /*device_memory*/, const void* /*host*/, uint64_t /*size_bytes*/) {
    return no_backend();
}
Status copy_rows_to_device(void* /*device_memory*/, uint64_t /*pitch_bytes*/, const void* /*host*/,
                           uint64_t /*row_bytes*/, uint64_t /*rows*/) {
    return no_backend();
}
Status wait_for_device() {
    return no_backend();
}
Status copy_to_host(void* /*host*/, const void* /*device_memory*/, uint64_t /*size_bytes*/) {
    return no_backend();
}
Status fill_device(void* /*device_memory*/, uint8_t /*value*/, uint64_t /*size_bytes*/) {
    return no_backend();
}

}  // namespace mmoe
