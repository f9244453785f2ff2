// SPDX-License-Identifier: Apache-2.0
#include "bundle/spec.h"

#include <algorithm>

namespace mmoe {
namespace {

Status check_rank(const char* kind, int64_t rank, int64_t ranks) {
    if (ranks >= 1 && rank >= 0 && rank < ranks) return {};
    return Status::error(Code::kUnsupported, "%s rank %lld of %lld does not exist", kind,
                         static_cast<long long>(rank), static_cast<long long>(ranks));
}

}  // namespace

Result<Shard> plan_shard(const BundleSpec& spec) {
    const auto& [config, layer, split, slot_count] = spec;
    TRY(check_rank("tensor", split.tensor_rank, split.tensor_ranks));
    TRY(check_rank("expert", split.expert_rank, split.expert_ranks));
    if (split.expert_ranks > layer.expert_count) {
        return Status::error(Code::kUnsupported, "%lld expert ranks for %lld experts",
                             static_cast<long long>(split.expert_ranks),
                             static_cast<long long>(layer.expert_count));
    }
    Shard shard;
    shard.first_expert = layer.expert_count * split.expert_rank / split.expert_ranks;
    shard.expert_count =
        layer.expert_count * (split.expert_rank + 1) / split.expert_ranks - shard.first_expert;
    TRY(shard.slice,
        plan_slice(config, layer.intermediate_size, split.tensor_ranks, split.tensor_rank));
    shard.slot_count =
        slot_count == 0 ? shard.expert_count : std::min(slot_count, shard.expert_count);
    return shard;
}

}  // namespace mmoe
