// SPDX-License-Identifier: Apache-2.0
// What config.json says about the MoE layers of a model. Dimensions in it are claims that the
// tensors are held to; they decide nothing themselves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "checkpoint/json_value.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_schemes.h"

namespace mmoe {

struct ModelConfig {
    std::optional<int64_t> hidden_size;            // of an expert's input
    std::optional<int64_t> moe_intermediate_size;  // of an expert
    std::optional<int64_t> intermediate_size;      // of an expert in models of experts only
    std::optional<int64_t> expert_count;
    std::optional<uint32_t> top_k;
    std::optional<double> activation_limit;
    std::string activation;  // as written; empty: not said
    std::string model_type;
    QuantSchemes schemes;
    Status schemes_problem;  // why `schemes` is empty
};

// `path`: a config.json, or the directory that holds it. Sentences name the file.
Result<ModelConfig> load_model_config(const std::string& path);

// The same for the bytes of the file; sentences don't name it.
Result<ModelConfig> parse_model_config(std::string_view json);

// Activation and its constants, gate form and the place of the router weight. `gated` is what
// the tensors say. Unsupported for an activation that is not known.
Status apply_model_config(const ModelConfig& config, bool gated, Layer* layer);

}  // namespace mmoe
