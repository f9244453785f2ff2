// SPDX-License-Identifier: Apache-2.0
// mmoe info: what the loaded library is, and the devices that it sees.
#include <cstdio>
#include <iterator>

#include "commands.h"
#include "layer_view.h"
#include "options.h"

namespace mmoe_tool {
namespace {

const char* tier_name(mmoe_cpu_tier tier) {
    constexpr const char* kNames[] = {"none",     "scalar",   "avx2", "avx512",   "avx512_bf16",
                                      "avx_vnni", "amx_bf16", "neon", "neon_dot", "neon_bf16"};
    return tier >= 0 && tier < static_cast<int>(std::size(kNames)) ? kNames[tier] : "other";
}

std::string build_text() {
    std::string text(mmoe_build_describe(nullptr, 0), '\0');
    mmoe_build_describe(text.data(), text.size());
    while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.pop_back();
    return text;
}

Json device_json(const mmoe_device_description& device) {
    const bool cuda = device.kind == MMOE_DEVICE_CUDA;
    Json json;
    json["device"] = cuda ? "cuda:" + std::to_string(device.index) : std::string("cpu");
    json["name"] = device.name;
    json["processors"] = device.processor_count;
    json["memory_bytes"] = device.memory_bytes;
    json["memory_free_bytes"] = device.memory_free_bytes;
    if (cuda) {
        json["compute"] =
            std::to_string(device.compute_major) + "." + std::to_string(device.compute_minor);
    } else {
        json["cpu_tier"] = tier_name(device.cpu_tier);
    }
    return json;
}

// Why there are no devices of a kind; empty if there are.
std::string list_devices(mmoe_device_kind kind, Json& devices) {
    try {
        uint32_t count = 0;
        call(mmoe_device_count, kind, &count);
        for (uint32_t index = 0; index < count; ++index) {
            auto description = sized<mmoe_device_description>();
            call(mmoe_device_info, kind, index, &description);
            devices.push_back(device_json(description));
        }
        return "";
    } catch (const Refused& refused) {
        return refused.what();
    }
}

}  // namespace

int run_info(int argc, char** argv) {
    bool json = false;
    parse({"info",
           "Prints version, build and devices of the loaded library.",
           {},
           {{"json", nullptr, "print JSON", into(&json)}}},
          argc, argv);
    Json report;
    report["version"] = mmoe_version_string();
    report["build"] = build_text();
    report["devices"] = Json::array();
    list_devices(MMOE_DEVICE_CPU, report["devices"]);
    const std::string cuda_problem = list_devices(MMOE_DEVICE_CUDA, report["devices"]);
    if (!cuda_problem.empty()) report["cuda"] = cuda_problem;
    if (json) {
        std::printf("%s\n", report.dump(2).c_str());
        return kExitOk;
    }
    std::printf("%s\n", build_text().c_str());
    for (const Json& device : report["devices"]) {
        std::printf("%-7s %s, %d processors, %s (%s free), %s\n",
                    device["device"].get<std::string>().c_str(),
                    device["name"].get<std::string>().c_str(), device["processors"].get<int>(),
                    bytes_text(device["memory_bytes"]).c_str(),
                    bytes_text(device["memory_free_bytes"]).c_str(),
                    device.value("cpu_tier", device.value("compute", "")).c_str());
    }
    if (!cuda_problem.empty()) std::printf("cuda    none: %s\n", cuda_problem.c_str());
    return kExitOk;
}

}  // namespace mmoe_tool
