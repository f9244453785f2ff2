// SPDX-License-Identifier: Apache-2.0
#include "model.h"

namespace tool {

Checkpoint open_checkpoint(mmoe_context* context, const std::string& path) {
    return make<mmoe_checkpoint>(mmoe_checkpoint_open, context, path.c_str(), nullptr);
}

ModelLayer read_layer(const mmoe_checkpoint* checkpoint, uint32_t index) {
    ModelLayer layer;
    layer.index = index;
    layer.shape = sized<mmoe_layer>();
    layer.place = sized<mmoe_layer_place>();
    layer.scheme = sized<mmoe_quant_fields>();
    mmoe_quant_config* config = nullptr;
    call(mmoe_checkpoint_layer_info, checkpoint, index, &layer.shape, &layer.place, &config);
    layer.config.reset(config);
    call(mmoe_quant_config_info, config, &layer.scheme);
    return layer;
}

std::vector<ModelLayer> read_layers(const mmoe_checkpoint* checkpoint) {
    std::vector<ModelLayer> layers;
    for (uint32_t index = 0; index < mmoe_checkpoint_layer_count(checkpoint); ++index) {
        layers.push_back(read_layer(checkpoint, index));
    }
    if (layers.empty()) throw UsageError("the checkpoint has no MoE layer");
    return layers;
}

}  // namespace tool
