// SPDX-License-Identifier: Apache-2.0
// The experts of a bundle as Marlin kernels read them, in memory of the caller: what a rank's w13
// and w2 look like (repack/marlin.h), how an expert is read from them, and how one is packed into
// them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/slot_reader.h"
#include "bundle/spec.h"
#include "layout/number.h"
#include "repack/marlin.h"

namespace mmoe {

// One GEMM operand of all experts. The shape is that of one, with the type of `scale`.
struct MarlinOperand {
    MarlinShape shape;
    layout::ScaleType bias_type = layout::ScaleType::kF32;
    uint8_t* weight = nullptr;      // [E, K'/16, N' * bits/2] i32
    uint8_t* scale = nullptr;       // [E, G', N']
    uint8_t* zero_point = nullptr;  // [E, G', N' * bits/32] i32; null: symmetric
    uint8_t* bias = nullptr;        // [E, N']; null: none
};

// Memory that is read may be const memory: it is not written.
struct MarlinExperts {
    int64_t count = 0;  // E
    MarlinOperand w13;  // gate outputs, from padded_intermediate on up outputs; or up alone
    MarlinOperand w2;
    int64_t padded_intermediate = 0;
    // Where inputs were sorted by their groups: the place in the model of each. Empty: nowhere.
    std::span<int32_t> w13_order;  // [E, H]
    std::span<int32_t> w2_order;   // [E, I of the rank]

    // Expert `index` alone.
    [[nodiscard]] MarlinExperts expert(int64_t index) const noexcept;
};

// Both matrices of a rank with padding of the caller's, 0: the least. Refuses what tiles, groups or
// the layer do not fit into.
Result<MarlinLayerPlan> plan_marlin_experts(const BundleSpec& spec, const Shard& shard,
                                            layout::MarlinTile tile, int64_t padded_hidden,
                                            int64_t padded_intermediate);

// `expert` holds one. Refuses scales and biases that are not finite, and an order that is none.
// The memory must outlive the reader.
Result<std::unique_ptr<SlotReader>> open_marlin_expert(
    const BundleSpec& spec, const Shard& shard, const MarlinExperts& expert,
    const std::shared_ptr<const Allocator>& allocator);

// Writes all of `expert`, padding as zeros. Outputs of w13 follow w2, whose order is plain.
Status pack_marlin_expert(const SlotReader& reader, const BundleSpec& spec, const Shard& shard,
                          const MarlinExperts& expert);

}  // namespace mmoe
