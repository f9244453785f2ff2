// SPDX-License-Identifier: Apache-2.0
// One projection from its source to its slot: band after band, each cut to this rank's slice. So a
// projection of any size goes through scratch of the planned size.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "bundle/projection_source.h"
#include "bundle/scratch_plan.h"
#include "bundle/spec.h"
#include "bundle/store.h"

namespace mmoe {

struct ProjectionPlace {
    const BundleSpec& spec;
    const Shard& shard;
    int64_t slot = 0;
    Projection projection = Projection::kUp;
    // Activation order of the expert's down projection, which gate and up rows follow: the
    // intermediate channel that comes to each place. Empty: as in the file.
    std::span<const int32_t> channels;
};

Status put_projection(Store& store, const ProjectionPlace& place, ProjectionSource& source,
                      const ScratchPlan& scratch,
                      const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
