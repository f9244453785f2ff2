// SPDX-License-Identifier: Apache-2.0
// From the names of a layer to its entry: scheme, dimensions, and every reason why it cannot be
// used.
#pragma once

#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_tensors.h"
#include "checkpoint/model_config.h"

namespace mmoe {

// `checkpoint` has its tensors already. What is wrong with the layer stands in its `problem`. All
// layers of a checkpoint share one budget.
LayerEntry build_layer(const Checkpoint& checkpoint, const LayerTensors& tensors,
                       const ModelConfig& config, MatchBudget* budget);

}  // namespace mmoe
