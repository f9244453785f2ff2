// SPDX-License-Identifier: Apache-2.0
// The tensors of one projection of one expert, read from a checkpoint into host memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "checkpoint/checkpoint.h"
#include "unpack/unpack.h"

namespace mmoe {

struct LoadedProjection {
    ProjectionTensors tensors;
    TensorView bias;                // absent if the layer has none
    std::array<Buffer, 5> buffers;  // what the views point into
};

Result<LoadedProjection> read_projection(const Checkpoint& checkpoint, const LayerEntry& entry,
                                         int64_t expert, Projection projection,
                                         const std::shared_ptr<const Allocator>& allocator);

// (code - zero point) * scale as fp32 [N, K], input columns in the order of the file.
Status dequantize(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                  Projection projection, std::span<float> weights,
                  const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
