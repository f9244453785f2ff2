// SPDX-License-Identifier: Apache-2.0
// The CUDA driver by dlopen, so that the tool starts where there is none. Prototypes follow the
// driver API: every call returns a CUresult, 0 for success; a device address is 64 bits.
#include <dlfcn.h>

#include <cstring>
#include <stdexcept>

#include "device.h"

namespace mmoe_tool {

struct CudaDriver::Functions {
    int (*init)(unsigned flags);
    int (*device_get)(int* device, int ordinal);
    int (*primary_retain)(void** context, int device);
    int (*primary_release)(int device);
    int (*set_current)(void* context);
    int (*allocate)(unsigned long long* address, size_t size_bytes);
    int (*release)(unsigned long long address);
    int (*upload)(unsigned long long device, const void* host, size_t size_bytes);
    int (*download)(void* host, unsigned long long device, size_t size_bytes);
    int (*synchronize)();
};

namespace {

template <class Function>
void find(void* library, const char* name, Function** function) {
    void* symbol = dlsym(library, name);
    if (symbol == nullptr) throw std::runtime_error(std::string("libcuda.so.1 has no ") + name);
    std::memcpy(function, &symbol, sizeof symbol);
}

unsigned long long address_of(const void* memory) {
    return reinterpret_cast<uintptr_t>(memory);
}

}  // namespace

void CudaDriver::check(int result, const char* what) const {
    if (result != 0) {
        throw std::runtime_error(std::string(what) + ": CUDA error " + std::to_string(result));
    }
}

std::shared_ptr<CudaDriver> CudaDriver::open(int32_t index) {
    std::shared_ptr<CudaDriver> driver(new CudaDriver);
    driver->library_ = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (driver->library_ == nullptr) throw std::runtime_error("libcuda.so.1 cannot be loaded");
    auto found = std::make_unique<Functions>();
    find(driver->library_, "cuInit", &found->init);
    find(driver->library_, "cuDeviceGet", &found->device_get);
    find(driver->library_, "cuDevicePrimaryCtxRetain", &found->primary_retain);
    find(driver->library_, "cuDevicePrimaryCtxRelease_v2", &found->primary_release);
    find(driver->library_, "cuCtxSetCurrent", &found->set_current);
    find(driver->library_, "cuMemAlloc_v2", &found->allocate);
    find(driver->library_, "cuMemFree_v2", &found->release);
    find(driver->library_, "cuMemcpyHtoD_v2", &found->upload);
    find(driver->library_, "cuMemcpyDtoH_v2", &found->download);
    find(driver->library_, "cuCtxSynchronize", &found->synchronize);
    void* context = nullptr;
    driver->check(found->init(0), "cuInit");
    driver->check(found->device_get(&driver->device_, index), "cuDeviceGet");
    driver->check(found->primary_retain(&context, driver->device_), "cuDevicePrimaryCtxRetain");
    driver->functions_ = std::move(found);
    driver->check(driver->functions_->set_current(context), "cuCtxSetCurrent");
    return driver;
}

CudaDriver::~CudaDriver() {
    if (functions_ != nullptr) functions_->primary_release(device_);
    if (library_ != nullptr) dlclose(library_);
}

void* CudaDriver::allocate(size_t size_bytes) const {
    unsigned long long address = 0;
    check(functions_->allocate(&address, size_bytes), "device memory");
    return reinterpret_cast<void*>(static_cast<uintptr_t>(address));
}

void CudaDriver::release(void* memory) const {
    functions_->release(address_of(memory));
}

void CudaDriver::upload(void* device, const void* host, size_t size_bytes) const {
    check(functions_->upload(address_of(device), host, size_bytes), "copy to the device");
}

void CudaDriver::download(void* host, const void* device, size_t size_bytes) const {
    check(functions_->download(host, address_of(device), size_bytes), "copy from the device");
}

void CudaDriver::synchronize() const {
    check(functions_->synchronize(), "the device's work");
}

}  // namespace mmoe_tool
