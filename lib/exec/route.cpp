// SPDX-License-Identifier: Apache-2.0
// A counting sort in three passes: count, prefix sum, place.
#include "exec/route.h"

#include <algorithm>

namespace mmoe {
namespace {

constexpr int64_t kSkipped = -1;
constexpr int64_t kOutOfRange = -2;

// Expert of an id, or one of the above.
int64_t resolve(const RunArgs& args, std::span<const int32_t> residence, int32_t id) noexcept {
    const auto experts = static_cast<int64_t>(residence.size());
    const bool mapped = args.expert_map != nullptr;
    if (id < 0 || id >= (mapped ? args.map_size : experts)) {
        return id == -1 ? kSkipped : kOutOfRange;
    }
    if (mapped) id = args.expert_map[id];
    if (id >= experts) return kOutOfRange;
    return id >= 0 && residence[static_cast<size_t>(id)] >= 0 ? id : kSkipped;
}

}  // namespace

void sort_slots(const RunArgs& args, std::span<const int32_t> residence,
                Routing& routing) noexcept {
    const std::span<int32_t> first = routing.first;
    std::fill(first.begin(), first.end(), 0);
    routing.out_of_range = false;
    const int64_t slots = args.tokens * args.top_k;
    for (int64_t slot = 0; slot < slots; ++slot) {
        const int64_t expert = resolve(args, residence, args.expert_ids[slot]);
        if (expert >= 0) ++first[static_cast<size_t>(expert) + 1];
        if (expert == kOutOfRange) routing.out_of_range = true;
    }
    routing.active_count = 0;
    for (size_t e = 0; e + 1 < first.size(); ++e) {
        if (first[e + 1] != 0) {
            routing.active[static_cast<size_t>(routing.active_count++)] = static_cast<int32_t>(e);
        }
        first[e + 1] += first[e];
    }
    // Placing moves each start to its end; shifting by one expert restores the starts.
    for (int64_t slot = 0; slot < slots; ++slot) {
        const int64_t expert = resolve(args, residence, args.expert_ids[slot]);
        if (expert < 0) continue;
        const auto place = static_cast<size_t>(first[static_cast<size_t>(expert)]++);
        routing.token[place] = static_cast<int32_t>(slot / args.top_k);
        routing.weight[place] = args.expert_weights[slot];
    }
    std::copy_backward(first.begin(), first.end() - 1, first.end());
    first[0] = 0;
}

}  // namespace mmoe
