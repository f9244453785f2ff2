// SPDX-License-Identifier: Apache-2.0
// mmoe plan: memory of a checkpoint's bundles and of one executor, before anything is loaded.
#include <algorithm>
#include <cstdio>

#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "options.h"
#include "runner.h"

namespace mmoe_tool {
namespace {

Json plan_layer(const Device& device, const LayerView& view, int64_t tokens) {
    auto bundle = sized<mmoe_memory_plan>();
    call(mmoe_bundle_plan, device.context.get(), view.config.get(), &view.layer, nullptr, &bundle);
    RunShape shape;
    shape.tokens = tokens;
    shape.top_k = std::max<int64_t>(view.place.top_k, 1);
    const mmoe_executor_options options = executor_options(shape);
    auto executor = sized<mmoe_memory_plan>();
    call(mmoe_executor_plan, device.context.get(), view.config.get(), &view.layer, &options,
         &executor);
    Json json = layer_json(view);
    json["bundle_bytes"] = bundle.resident_bytes;
    json["load_scratch_bytes"] = bundle.scratch_bytes;
    json["executor_bytes"] = executor.resident_bytes;
    return json;
}

void print_plan(const Json& report) {
    for (const Json& layer : report["layers"]) {
        std::printf("layer %3d: bundle %s (files %s), load scratch %s, executor %s\n",
                    layer["layer"].get<int>(), bytes_text(layer["bundle_bytes"]).c_str(),
                    bytes_text(layer["file_bytes"]).c_str(),
                    bytes_text(layer["load_scratch_bytes"]).c_str(),
                    bytes_text(layer["executor_bytes"]).c_str());
    }
    std::printf("all: bundles %s, one executor for %d tokens %s, together %s on %s\n",
                bytes_text(report["bundle_bytes"]).c_str(), report["tokens"].get<int>(),
                bytes_text(report["executor_bytes"]).c_str(),
                bytes_text(report["total_bytes"]).c_str(),
                report["device"].get<std::string>().c_str());
}

}  // namespace

int run_plan(int argc, char** argv) {
    std::string device_name = "cpu";
    int64_t tokens = 256;
    bool json = false;
    const auto arguments =
        parse({"plan",
               "Computes, from headers alone, the memory that a checkpoint's layers will take: one "
               "bundle a\nlayer, one executor for all of them.",
               {"DIR"},
               {{"device", "cpu|cuda:N", "device planned for (cpu)", into(&device_name)},
                {"tokens", "T", "most tokens of one call (256)", into(&tokens, 1, INT32_MAX)},
                {"json", nullptr, "print JSON", into(&json)}}},
              argc, argv);
    const Device device = open_device(device_name, 0);
    const auto checkpoint = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                                  arguments[0].c_str(), nullptr);
    Json layers = Json::array();
    uint64_t bundle_bytes = 0, executor_bytes = 0;
    for (const uint32_t index : chosen_layers(checkpoint.get(), -1)) {
        layers.push_back(plan_layer(device, view_layer(checkpoint.get(), index), tokens));
        bundle_bytes += layers.back()["bundle_bytes"].get<uint64_t>();
        executor_bytes = std::max(executor_bytes, layers.back()["executor_bytes"].get<uint64_t>());
    }
    Json report;
    report["checkpoint"] = arguments[0];
    report["device"] = device.name;
    report["tokens"] = tokens;
    report["bundle_bytes"] = bundle_bytes;
    report["executor_bytes"] = executor_bytes;
    report["total_bytes"] = bundle_bytes + executor_bytes;
    report["layers"] = std::move(layers);
    if (json) {
        std::printf("%s\n", report.dump(2).c_str());
    } else {
        print_plan(report);
    }
    return kExitOk;
}

}  // namespace mmoe_tool
