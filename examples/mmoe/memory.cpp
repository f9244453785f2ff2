// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <new>

#include "text.h"

namespace tool {
namespace {

class HostMemory : public Memory {
  public:
    void* allocate(size_t size_bytes) override {
        return ::operator new (size_bytes, std::align_val_t{64});
    }
    void release(void* memory) noexcept override {
        ::operator delete (memory, std::align_val_t{64});
    }
    void copy_in(void* to, const void* from_host, size_t size_bytes) override {
        std::memcpy(to, from_host, size_bytes);
    }
    void copy_out(void* to_host, const void* from, size_t size_bytes) override {
        std::memcpy(to_host, from, size_bytes);
    }
    void wait() override {}
};

// The few functions of the CUDA driver API that a run needs. Device addresses are 64-bit integers
// there; results are 0 for success.
class CudaMemory : public Memory {
  public:
    explicit CudaMemory(int32_t index) {
        if (!library_) throw std::runtime_error("libcuda.so.1 cannot be opened");
        check("cuInit", function<int(unsigned)>("cuInit")(0));
        check("cuDeviceGet", function<int(int*, int)>("cuDeviceGet")(&device_, index));
        // The primary context is the one that the library's CUDA runtime works in.
        void* context = nullptr;
        check("cuDevicePrimaryCtxRetain",
              function<int(void**, int)>("cuDevicePrimaryCtxRetain")(&context, device_));
        check("cuCtxSetCurrent", function<int(void*)>("cuCtxSetCurrent")(context));
    }
    CudaMemory(const CudaMemory&) = delete;
    CudaMemory& operator=(const CudaMemory&) = delete;
    ~CudaMemory() override { function<int(int)>("cuDevicePrimaryCtxRelease_v2")(device_); }

    void* allocate(size_t size_bytes) override {
        uint64_t address = 0;
        check("cuMemAlloc",
              function<int(uint64_t*, size_t)>("cuMemAlloc_v2")(&address, size_bytes));
        return reinterpret_cast<void*>(address);
    }
    void release(void* memory) noexcept override {
        function<int(uint64_t)>("cuMemFree_v2")(address_of(memory));
    }
    void copy_in(void* to, const void* from_host, size_t size_bytes) override {
        check("cuMemcpyHtoD", function<int(uint64_t, const void*, size_t)>("cuMemcpyHtoD_v2")(
                                  address_of(to), from_host, size_bytes));
    }
    void copy_out(void* to_host, const void* from, size_t size_bytes) override {
        wait();
        check("cuMemcpyDtoH", function<int(void*, uint64_t, size_t)>("cuMemcpyDtoH_v2")(
                                  to_host, address_of(from), size_bytes));
    }
    void wait() override { check("cuCtxSynchronize", function<int()>("cuCtxSynchronize")()); }

  private:
    struct Close {
        void operator()(void* library) const { dlclose(library); }
    };

    static uint64_t address_of(const void* memory) { return reinterpret_cast<uint64_t>(memory); }

    template <class Signature>
    Signature* function(const char* name) const {
        void* symbol = dlsym(library_.get(), name);
        if (symbol == nullptr) throw std::runtime_error(format("libcuda.so.1 lacks %s", name));
        return reinterpret_cast<Signature*>(symbol);
    }

    static void check(const char* name, int result) {
        if (result != 0) throw std::runtime_error(format("%s failed: CUDA error %d", name, result));
    }

    std::unique_ptr<void, Close> library_{dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)};
    int device_ = 0;
};

}  // namespace

std::shared_ptr<Memory> open_memory(const DeviceOptions& options) {
    if (options.is_cuda()) return std::make_shared<CudaMemory>(options.index());
    return std::make_shared<HostMemory>();
}

}  // namespace tool
