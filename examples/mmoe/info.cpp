// SPDX-License-Identifier: Apache-2.0
// mmoe info: how the library was built and which devices it sees; what a bug report needs.
#include "command.h"
#include "device.h"
#include "library.h"

namespace tool {
namespace {

std::string build_description() {
    std::string text(mmoe_build_describe(nullptr, 0), '\0');
    mmoe_build_describe(text.data(), text.size());
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.pop_back();
    return text;
}

Json device_json(const mmoe_device_description& device) {
    return {{"kind", device.kind == MMOE_DEVICE_CPU ? "cpu" : "cuda"},
            {"index", device.index},
            {"name", device.name},
            {"processors", device.processor_count},
            {"memory_bytes", device.memory_bytes},
            {"memory_free_bytes", device.memory_free_bytes},
            {"description", device_text(device)}};
}

// Adds every device of one kind, or why there is none.
void report_devices(mmoe_device_kind kind, const char* name, Report& report) {
    uint32_t count = 0;
    try {
        call(mmoe_device_count, kind, &count);
    } catch (const Refusal& refusal) {
        report.line(format("%s: none (%s)", name, refusal.what()));
        report.json["absent"][name] = refusal.what();
        return;
    }
    for (uint32_t index = 0; index < count; ++index) {
        auto device = sized<mmoe_device_description>();
        call(mmoe_device_info, kind, index, &device);
        report.line(format("%s:%u: %s, %d processors, %s", name, index, device_text(device).c_str(),
                           device.processor_count, byte_text(device.memory_bytes).c_str()));
        report.json["devices"].push_back(device_json(device));
    }
}

}  // namespace

Action add_info(CLI::App&) {
    return [](Report& report) {
        report.line(build_description());
        report.json = {{"version", mmoe_version_string()}, {"build", build_description()}};
        report.json["devices"] = Json::array();
        report_devices(MMOE_DEVICE_CPU, "cpu", report);
        report_devices(MMOE_DEVICE_CUDA, "cuda", report);
        return kExitOk;
    };
}

}  // namespace tool
