// SPDX-License-Identifier: Apache-2.0
// Expected outputs that `mmoe verify` compares with: recorded in a file.
#pragma once

#include <string>
#include <vector>

#include "layer_run.h"

namespace tool {

// One batch with what the layer must answer.
struct ReferenceCase {
    uint32_t model_layer = 0;
    Batch batch;
    std::vector<double> rounded;  // [T, H] from weights rounded to the checkpoint's type
    std::vector<double> exact;    // [T, H] from unrounded weights
};

// Reads every case `layer{l}.m{M}.*` of a safetensors file, in order of layer, then tokens.
std::vector<ReferenceCase> read_reference(mmoe_context* context, const std::string& path);

}  // namespace tool
