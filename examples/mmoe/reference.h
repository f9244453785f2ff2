// SPDX-License-Identifier: Apache-2.0
// Inputs of a layer with the outputs that it should give.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api.h"
#include "layer_view.h"

namespace mmoe_tool {

struct ReferenceCase {
    int64_t tokens = 0, top_k = 0;
    mmoe_dtype dtype = 0;         // of the hidden states
    std::vector<uint8_t> hidden;  // [T, H]
    std::vector<int32_t> ids;     // [T, top_k]
    std::vector<float> weights;   // [T, top_k]
    std::vector<double> exact;    // [T, H], from weights that nobody rounded
    std::vector<double> rounded;  // the same from weights rounded to dtype; may be empty
};

// Names of a file's cases for one layer of a model: prefixes such as "layer0.m33.".
std::vector<std::string> case_prefixes(const mmoe_checkpoint* file, uint32_t model_layer);

// Reads `<prefix>hidden_states`, `topk_ids`, `topk_weights`, `expected_exact` and `expected`.
// Throws std::runtime_error where their shapes do not fit the layer.
ReferenceCase read_case(const mmoe_checkpoint* file, const std::string& prefix,
                        const mmoe_layer& layer);

// Random tokens with plain double arithmetic as the answer.
ReferenceCase oracle_case(const mmoe_checkpoint* checkpoint, const LayerView& view, int64_t tokens);

}  // namespace mmoe_tool
