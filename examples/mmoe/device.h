// SPDX-License-Identifier: Apache-2.0
// The device that a command runs on, from its options to a context.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "library.h"

namespace tool {

struct DeviceOptions {
    std::string device = "cpu";  // "cpu" or "cuda:N"
    uint32_t thread_count = 0;   // 0: all
    std::string tier = "best";   // highest CPU instruction set

    // Adds --device, --threads and --tier.
    void add_to(CLI::App& command);
    [[nodiscard]] bool is_cuda() const { return device != "cpu"; }
    [[nodiscard]] int32_t index() const;  // N of "cuda:N"; 0 on the CPU
};

Context open_context(const DeviceOptions& options);
// Such as "AMD EPYC 9554 (avx512bf16)".
std::string device_text(const mmoe_device_description& device);
// Describes the device that `options` names.
mmoe_device_description describe_device(const DeviceOptions& options);

}  // namespace tool
