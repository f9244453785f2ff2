// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <cstring>
#include <new>

#include "options.h"

namespace mmoe_tool {
namespace {

constexpr std::align_val_t kAlignment{64};
constexpr int64_t kMostDevices = 1023;

struct TierName {
    const char* name;
    mmoe_cpu_tier tier;
};
constexpr TierName kTiers[] = {{"best", MMOE_CPU_TIER_BEST},
                               {"scalar", MMOE_CPU_TIER_SCALAR},
                               {"avx2", MMOE_CPU_TIER_AVX2},
                               {"avx512", MMOE_CPU_TIER_AVX512},
                               {"avx512bf16", MMOE_CPU_TIER_AVX512_BF16}};

}  // namespace

mmoe_cpu_tier parse_tier(const std::string& text) {
    std::string names;
    for (const TierName& known : kTiers) {
        if (text == known.name) return known.tier;
        names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    throw UsageError("--tier: expected one of " + names + ", got '" + text + "'");
}

Device open_device(const std::string& name, int64_t threads, mmoe_cpu_tier tier) {
    const std::vector<std::string> parts = split(name, ':');
    const bool cuda = parts[0] == "cuda";
    if ((!cuda && name != "cpu") || parts.size() > 2) {
        throw UsageError("--device: expected cpu, cuda or cuda:N, got '" + name + "'");
    }
    auto options = sized<mmoe_context_options>();
    options.device_kind = cuda ? MMOE_DEVICE_CUDA : MMOE_DEVICE_CPU;
    if (parts.size() == 2) {
        options.device_index = static_cast<int32_t>(parse_number(parts[1], 0, kMostDevices));
    }
    options.thread_count = static_cast<uint32_t>(threads);
    options.cpu_tier = tier;
    Device device;
    device.kind = options.device_kind;
    device.index = options.device_index;
    device.name = cuda ? "cuda:" + std::to_string(options.device_index) : "cpu";
    device.context = make<mmoe_context>(mmoe_context_create, &options);
    if (cuda) device.cuda = CudaDriver::open(options.device_index);
    return device;
}

DeviceArray::DeviceArray(const Device& device, size_t size_bytes)
    : cuda_(device.cuda),
      size_bytes_(size_bytes),
      data_(cuda_ != nullptr ? cuda_->allocate(size_bytes)
                             : ::operator new(size_bytes, kAlignment)) {}

DeviceArray::~DeviceArray() {
    if (cuda_ != nullptr) {
        cuda_->release(data_);
    } else {
        ::operator delete(data_, kAlignment);
    }
}

void DeviceArray::upload(const void* host, size_t size_bytes) {
    if (cuda_ != nullptr) {
        cuda_->upload(data_, host, size_bytes);
    } else if (size_bytes > 0) {
        std::memcpy(data_, host, size_bytes);
    }
}

std::vector<uint8_t> DeviceArray::download() const {
    std::vector<uint8_t> bytes(size_bytes_);
    if (cuda_ != nullptr) {
        cuda_->download(bytes.data(), data_, size_bytes_);
    } else if (size_bytes_ > 0) {
        std::memcpy(bytes.data(), data_, size_bytes_);
    }
    return bytes;
}

}  // namespace mmoe_tool
