// SPDX-License-Identifier: Apache-2.0
// mmoe inspect: the MoE layers of a checkpoint, whether a device can run them, and how they can be
// divided over ranks. Reads headers only.
#include <cstdio>

#include "commands.h"
#include "device.h"
#include "layer_view.h"
#include "options.h"
#include "splits.h"

namespace mmoe_tool {
namespace {

mmoe_split split_of(int64_t tensor_ranks, int64_t expert_ranks) {
    mmoe_split split{};
    split.tensor_ranks = static_cast<uint32_t>(tensor_ranks);
    split.expert_ranks = static_cast<uint32_t>(expert_ranks);
    return split;
}

// The library's answer, or its refusal to describe the layer at all.
Json inspect_layer(const Device& device, const mmoe_checkpoint* checkpoint, uint32_t index,
                   const mmoe_split& split) {
    Json json;
    try {
        const LayerView view = view_layer(checkpoint, index);
        json = layer_json(view);
        auto support = sized<mmoe_support>();
        call(mmoe_support_query, device.context.get(), view.config.get(), &view.layer, &split,
             &support);
        json["supported"] = support.supported != 0;
        if (support.supported == 0) {
            json["why_not"] = support.sentence;
            json["remedy"] = support.remedy;
        }
        json["tensor_ranks"] = splits_json(device, view);
    } catch (const Refused& refused) {
        json["layer_index"] = index;
        json["supported"] = false;
        json["why_not"] = refused.what();
        json["remedy"] = "";
    }
    return json;
}

void print_layer(const Json& layer) {
    if (layer.contains("scheme")) {
        std::printf(
            "layer %3d: E%d top%d H%d I%d, %s %s, %s, ", layer["layer"].get<int>(),
            layer["experts"].get<int>(), layer["top_k"].get<int>(), layer["hidden_size"].get<int>(),
            layer["intermediate_size"].get<int>(), layer["format"].get<std::string>().c_str(),
            layer["scheme"].get<std::string>().c_str(), bytes_text(layer["file_bytes"]).c_str());
    } else {
        std::printf("layer %3d: ", layer["layer_index"].get<int>());
    }
    if (layer["supported"].get<bool>()) {
        std::printf("supported\n");
        return;
    }
    std::printf("not supported: %s\n", layer["why_not"].get<std::string>().c_str());
    const auto remedy = layer["remedy"].get<std::string>();
    if (!remedy.empty()) std::printf("           remedy: %s\n", remedy.c_str());
}

// Once for neighbouring layers that can be divided alike.
void print_splits(const Json& layers) {
    for (size_t first = 0, end = 0; first < layers.size(); first = end) {
        const auto differs = [&](const Json& layer) {
            return layer.value("tensor_ranks", Json()) !=
                   layers[first].value("tensor_ranks", Json());
        };
        end = first + 1;
        while (end < layers.size() && !differs(layers[end])) ++end;
        if (!layers[first].contains("tensor_ranks")) continue;
        const std::string from = layers[first]["layer"].dump();
        const std::string which = end == first + 1
                                      ? "layer " + from
                                      : "layers " + from + " to " + layers[end - 1]["layer"].dump();
        std::printf("tensor ranks of %s:\n%s", which.c_str(),
                    splits_text(layers[first]["tensor_ranks"]).c_str());
    }
}

}  // namespace

int run_inspect(int argc, char** argv) {
    std::string device_name = "cpu";
    int64_t tensor_ranks = 1, expert_ranks = 1;
    bool json = false;
    const auto arguments = parse(
        {"inspect",
         "Lists the MoE layers of a checkpoint from its headers, and what 1 to 16 tensor ranks "
         "would hold.\nExit status 0: every layer is supported as asked; 1: one is not.",
         {"DIR"},
         {{"device", "cpu|cuda:N", "device asked about (cpu)", into(&device_name)},
          {"tensor-ranks", "N", "ranks that share I", into(&tensor_ranks, 1, 1024)},
          {"expert-ranks", "N", "ranks that share E", into(&expert_ranks, 1, 1024)},
          {"json", nullptr, "print JSON", into(&json)}}},
        argc, argv);
    const Device device = open_device(device_name, 0);
    const auto checkpoint = make<mmoe_checkpoint>(mmoe_checkpoint_open, device.context.get(),
                                                  arguments[0].c_str(), nullptr);
    Json report;
    report["checkpoint"] = arguments[0];
    report["device"] = device.name;
    report["tensors"] = mmoe_checkpoint_tensor_count(checkpoint.get());
    report["layers"] = Json::array();
    bool all = true;
    for (const uint32_t index : chosen_layers(checkpoint.get(), -1)) {
        report["layers"].push_back(
            inspect_layer(device, checkpoint.get(), index, split_of(tensor_ranks, expert_ranks)));
        all = all && report["layers"].back()["supported"].get<bool>();
    }
    if (json) {
        std::printf("%s\n", report.dump(2).c_str());
    } else {
        std::printf("%s: %zu MoE layers, %d tensors\n", arguments[0].c_str(),
                    report["layers"].size(), report["tensors"].get<int>());
        for (const Json& layer : report["layers"]) print_layer(layer);
        print_splits(report["layers"]);
    }
    return all ? kExitOk : kExitCheckFailed;
}

}  // namespace mmoe_tool
