// SPDX-License-Identifier: Apache-2.0
// One role of one projection of one expert, cut out of the tensor that holds it.
#pragma once

#include <span>

#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_tensors.h"

namespace mmoe {

// `layer` has no problem, and `expert` is one of its experts. `entry` is null if the files have
// no such tensor.
Result<ExpertTensor> slice_expert(std::span<const TensorEntry> all, const LayerTensors& tensors,
                                  const LayerEntry& layer, int64_t expert, Projection projection,
                                  Role role);

}  // namespace mmoe
