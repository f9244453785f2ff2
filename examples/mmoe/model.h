// SPDX-License-Identifier: Apache-2.0
// A checkpoint with the facts of its MoE layers, as every command that takes DIR wants them.
#pragma once

#include <string>
#include <vector>

#include "library.h"

namespace tool {

struct ModelLayer {
    uint32_t index = 0;  // among the checkpoint's MoE layers
    mmoe_layer shape{};
    mmoe_layer_place place{};
    mmoe_quant_fields scheme{};
    QuantConfig config;
};

Checkpoint open_checkpoint(mmoe_context* context, const std::string& path);
ModelLayer read_layer(const mmoe_checkpoint* checkpoint, uint32_t index);
// All MoE layers; refuses a checkpoint that has none.
std::vector<ModelLayer> read_layers(const mmoe_checkpoint* checkpoint);

}  // namespace tool
