// SPDX-License-Identifier: Apache-2.0
// What a bundle is made from, and which part of the layer it holds.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "repack/slice.h"

namespace mmoe {

// The inside of mmoe_split, defaults resolved.
struct Split {
    int64_t tensor_ranks = 1;
    int64_t tensor_rank = 0;
    int64_t expert_ranks = 1;
    int64_t expert_rank = 0;

    [[nodiscard]] bool operator==(const Split&) const noexcept = default;
};

struct BundleSpec {
    QuantConfig config;
    Layer layer;  // whole
    Split split;
    int64_t slot_count = 0;  // experts resident at a time; 0: every expert of the rank
};

// The part of one parallel rank.
struct Shard {
    int64_t first_expert = 0;  // contiguous range of global experts
    int64_t expert_count = 0;
    Slice slice;  // of the intermediate axis
    int64_t slot_count = 0;

    [[nodiscard]] bool holds(int64_t expert) const noexcept {
        return expert >= first_expert && expert < first_expert + expert_count;
    }
};

// Ranks differ by at most one expert. Refuses a split that is not possible.
Result<Shard> plan_shard(const BundleSpec& spec);

}  // namespace mmoe
