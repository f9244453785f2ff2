// SPDX-License-Identifier: Apache-2.0
// A layer of a checkpoint as the commands show it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api.h"

namespace mmoe_tool {

using Json = nlohmann::ordered_json;

struct LayerView {
    uint32_t index;  // among the MoE layers
    mmoe_layer layer;
    mmoe_layer_place place;
    Owned<mmoe_quant_config> config;
    mmoe_quant_fields fields;
};

// Throws Refused where the library cannot describe the layer.
LayerView view_layer(const mmoe_checkpoint* checkpoint, uint32_t index);

// Such as "int4 asymmetric g128".
std::string scheme_text(const mmoe_quant_fields& fields);
std::string shape_text(const mmoe_layer& layer);
std::string bytes_text(uint64_t bytes);
Json layer_json(const LayerView& view);

// The numbers of the layers that --layer selects: all where it is negative.
std::vector<uint32_t> chosen_layers(const mmoe_checkpoint* checkpoint, int64_t layer);

// fp16 where the scales are fp16, else bf16: what the checkpoint's model computes in.
mmoe_dtype hidden_dtype(const mmoe_checkpoint* checkpoint, const LayerView& view);

}  // namespace mmoe_tool
