// SPDX-License-Identifier: Apache-2.0
// How large a layer is, from the tensors of its first expert.
#pragma once

#include <optional>
#include <span>

#include "base/status.h"
#include "checkpoint/layer_view.h"
#include "checkpoint/quant_config.h"

namespace mmoe {

// What config.json says, where it says something.
struct DimensionClaims {
    std::optional<int64_t> hidden_size;
    std::optional<int64_t> intermediate_size;
};

// Sets expert_count, hidden_size and intermediate_size of `layer`. `parts` have weights and end
// with the down projection. A claim only decides how much of a row's last word is padding, where
// the checkpoint itself does not say.
Status read_layer_dimensions(const LayerView& view, std::span<const Part> parts,
                             const QuantConfig& config, const DimensionClaims& claims,
                             Layer* layer);

}  // namespace mmoe
