// SPDX-License-Identifier: Apache-2.0
// Which token goes to which expert: slots sorted by expert, stable in (token, position), so that
// the order of a sum never depends on anything but the ids.
#pragma once

#include <cstdint>
#include <span>

#include "exec/run_args.h"

namespace mmoe {

// A slot is one (token, chosen expert) pair; slot t * top_k + j is choice j of token t.
struct Routing {
    std::span<int32_t> first;   // [E + 1]: sorted slots of expert e start at first[e]
    std::span<int32_t> token;   // [T * top_k]: token of each sorted slot
    std::span<float> weight;    // [T * top_k]: router weight of each sorted slot
    std::span<int32_t> active;  // [E]: experts with at least one slot, rising
    int32_t active_count = 0;
    bool out_of_range = false;  // an id other than -1 that stands for no expert of the layer

    [[nodiscard]] int32_t slot_count() const noexcept { return first.back(); }
    [[nodiscard]] int32_t slots_of(int32_t expert) const noexcept {
        const auto e = static_cast<size_t>(expert);
        return first[e + 1] - first[e];
    }
};

// Fills the spans. `residence`: [E], negative where an expert is not here; ids of such experts,
// negative ones, and those that are too large or mapped away are skipped.
void sort_slots(const RunArgs& args, std::span<const int32_t> residence, Routing& routing) noexcept;

}  // namespace mmoe
