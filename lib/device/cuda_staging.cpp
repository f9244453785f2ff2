// SPDX-License-Identifier: Apache-2.0
#include "device/cuda_staging.h"

#include <cuda_runtime.h>

namespace mmoe {

Result<std::unique_ptr<CudaStaging>> CudaStaging::create(const Context& context,
                                                         uint64_t size_bytes) {
    std::unique_ptr<CudaStaging> staging(new CudaStaging);
    staging->place_ = context.place;
    TRY(staging->host_, Buffer::create(context.allocator, size_bytes, "staging"));
    TRY(staging->device_memory_,
        DeviceBuffer::create(context.place, context.device_allocator, size_bytes, "staging"));
    TRY(const CudaScope scope, CudaScope::enter(context.place));
    staging->registered_ = cudaHostRegister(staging->host_.data(), size_bytes,
                                            cudaHostRegisterPortable) == cudaSuccess;
    if (!staging->registered_) (void)cudaGetLastError();
    cudaStream_t stream = nullptr;
    TRY(cuda_status(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "staging stream"));
    staging->stream_ = stream;
    return staging;
}

CudaStaging::~CudaStaging() {
    const Result<CudaScope> scope = CudaScope::enter(place_);
    if (stream_ != nullptr) {
        cudaStreamSynchronize(static_cast<cudaStream_t>(stream_));
        cudaStreamDestroy(static_cast<cudaStream_t>(stream_));
    }
    if (registered_) cudaHostUnregister(host_.data());
}

Status CudaStaging::send(uint64_t size_bytes) {
    return cuda_status(cudaMemcpyAsync(on_device(), host(), size_bytes, cudaMemcpyHostToDevice,
                                       static_cast<cudaStream_t>(stream_)),
                       "copy to the device");
}

Status CudaStaging::wait() {
    return cuda_status(cudaStreamSynchronize(static_cast<cudaStream_t>(stream_)),
                       "repacking on the device");
}

Result<std::unique_ptr<CudaStaging>> CudaStagingPool::take(const Context& context,
                                                           uint64_t size_bytes) {
    {
        const std::lock_guard lock(mutex_);
        for (auto piece = idle_.begin(); piece != idle_.end(); ++piece) {
            if ((*piece)->size_bytes() < size_bytes) continue;
            std::unique_ptr<CudaStaging> found = std::move(*piece);
            idle_.erase(piece);
            return found;
        }
        if (!idle_.empty()) idle_.pop_back();  // a larger one takes its place
    }
    return CudaStaging::create(context, size_bytes);
}

void CudaStagingPool::give_back(std::unique_ptr<CudaStaging> staging) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(staging));
}

void CudaStagingPool::release() noexcept {
    const std::lock_guard lock(mutex_);
    idle_.clear();
}

}  // namespace mmoe
