// SPDX-License-Identifier: Apache-2.0
// Which part of a layer one parallel rank holds.
#pragma once

#include <cstdint>

#include "checkpoint/layer.h"

namespace mmoe {

// The inside of mmoe_split, defaults resolved.
struct Split {
    int64_t tensor_ranks = 1;
    int64_t tensor_rank = 0;
    int64_t expert_ranks = 1;
    int64_t expert_rank = 0;

    [[nodiscard]] bool operator==(const Split&) const noexcept = default;
};

struct Shard {
    int64_t first_expert = 0;  // contiguous range of global experts
    int64_t expert_count = 0;

    // Local index of a global expert, or -1.
    [[nodiscard]] int64_t local(int64_t expert) const noexcept {
        const int64_t index = expert - first_expert;
        return index >= 0 && index < expert_count ? index : -1;
    }
};

// Ranks differ by at most one expert. The split has been found possible.
[[nodiscard]] constexpr Shard shard_of(const Layer& layer, const Split& split) noexcept {
    const int64_t first = layer.expert_count * split.expert_rank / split.expert_ranks;
    const int64_t end = layer.expert_count * (split.expert_rank + 1) / split.expert_ranks;
    return {first, end - first};
}

}  // namespace mmoe
