// SPDX-License-Identifier: Apache-2.0
// Which expert of the bundle a slot has chosen. `Args` names the ids and the maps: RouteArgs or
// DecodeArgs.
#pragma once

#include <cstdint>

namespace mmoe::cuda {

struct Choice {
    int32_t expert;     // of this bundle, or -1
    bool out_of_range;  // neither an expert of the layer nor -1
};

template <class Args>
__device__ __forceinline__ Choice choose(const Args& args, int64_t slot) {
    int32_t id = __ldg(args.expert_ids + slot);
    const bool mapped = args.expert_map != nullptr;
    const int64_t limit = mapped ? args.map_size : args.global_expert_count;
    if (id < 0 || id >= limit) return {-1, id != -1};
    if (mapped) id = __ldg(args.expert_map + id);
    if (id < 0 || id >= args.global_expert_count) return {-1, id >= 0};
    const int32_t local =
        args.slot_map != nullptr ? __ldg(args.slot_map + id) : id - args.first_expert;
    const bool here = local >= 0 && local < args.expert_count;
    return {here ? local : -1, false};
}

}  // namespace mmoe::cuda
