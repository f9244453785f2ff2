// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <map>

#include "text.h"

namespace tool {
namespace {

const std::map<std::string, mmoe_cpu_tier> kTiers = {{"best", MMOE_CPU_TIER_BEST},
                                                     {"scalar", MMOE_CPU_TIER_SCALAR},
                                                     {"avx2", MMOE_CPU_TIER_AVX2},
                                                     {"avx512", MMOE_CPU_TIER_AVX512},
                                                     {"avx512bf16", MMOE_CPU_TIER_AVX512_BF16}};

mmoe_device_kind kind_of(const DeviceOptions& options) {
    return options.is_cuda() ? MMOE_DEVICE_CUDA : MMOE_DEVICE_CPU;
}

// Refuses anything but "cpu", "cuda" and "cuda:N"; an empty text means that it is fine.
std::string refuse_device(const std::string& text) {
    if (text == "cpu" || text == "cuda") return {};
    const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5 && text.size() < 9 &&
                          text.find_first_not_of("0123456789", 5) == std::string::npos;
    return numbered ? "" : "expected cpu or cuda:N, got " + text;
}

}  // namespace

void DeviceOptions::add_to(CLI::App& command) {
    command.add_option("--device", device, "cpu or cuda:N")
        ->check(CLI::Validator(refuse_device, "DEVICE"));
    command.add_option("--threads", thread_count, "CPU threads; 0: all")
        ->check(CLI::Range(0, 4096));
    command.add_option("--tier", tier, "highest CPU instruction set")->check(CLI::IsMember(kTiers));
}

int32_t DeviceOptions::index() const {
    return device.size() > 5 ? std::stoi(device.substr(5)) : 0;
}

Context open_context(const DeviceOptions& options) {
    auto fields = sized<mmoe_context_options>();
    fields.device_kind = kind_of(options);
    fields.device_index = options.index();
    fields.thread_count = options.thread_count;
    fields.cpu_tier = options.is_cuda() ? MMOE_CPU_TIER_BEST : kTiers.at(options.tier);
    return make<mmoe_context>(mmoe_context_create, &fields);
}

std::string device_text(const mmoe_device_description& device) {
    if (device.kind == MMOE_DEVICE_CPU) {
        return format("%s (%s)", device.name, tier_name(device.cpu_tier).c_str());
    }
    return format("%s (sm_%d%d)", device.name, device.compute_major, device.compute_minor);
}

mmoe_device_description describe_device(const DeviceOptions& options) {
    auto device = sized<mmoe_device_description>();
    call(mmoe_device_info, kind_of(options), static_cast<uint32_t>(options.index()), &device);
    if (!options.is_cuda() && options.tier != "best") device.cpu_tier = kTiers.at(options.tier);
    return device;
}

}  // namespace tool
