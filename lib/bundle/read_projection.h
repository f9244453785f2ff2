// SPDX-License-Identifier: Apache-2.0
// Tensors of one expert, read from a checkpoint into host memory.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/expert_tensors.h"
#include "checkpoint/checkpoint.h"

namespace mmoe {

struct LoadedTensors {
    ExpertTensors tensors;
    Buffer data[ExpertTensors::kCount];  // what the views point into
};

// All roles of one projection that its layer knows; optional ones may stay absent.
Result<LoadedTensors> read_projection(const Checkpoint& checkpoint, const LayerEntry& entry,
                                      int64_t expert, Projection projection,
                                      const std::shared_ptr<const Allocator>& allocator);

// Activation order of the down projection alone.
Result<std::vector<int32_t>> read_channels(const Checkpoint& checkpoint, const LayerEntry& entry,
                                           int64_t expert, const ExpertForm& form,
                                           const std::shared_ptr<const Allocator>& allocator);

// (code - zero point) * scale as fp32 [N, K], input columns in the order of the file.
Status dequantize(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                  Projection projection, std::span<float> weights,
                  const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
