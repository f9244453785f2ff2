// SPDX-License-Identifier: Apache-2.0
#include "bundle/cuda_plan.h"

#include <cstring>

#include "base/checked.h"

namespace mmoe {
namespace {

constexpr uint64_t kArrayAlignmentBytes = 256;

// Takes one array from the end of what is planned so far.
CudaPart take(CudaBundlePlan& plan, int64_t bytes_per_slot) noexcept {
    const auto bytes = static_cast<uint64_t>(bytes_per_slot);
    const CudaPart part = {plan.total_bytes, bytes, plan.slot_bytes};
    plan.total_bytes +=
        round_up(bytes * static_cast<uint64_t>(plan.slot_count), kArrayAlignmentBytes);
    plan.slot_bytes += bytes;
    return part;
}

CudaMatrixPlan take_matrix(CudaBundlePlan& plan, const MarlinShape& shape) noexcept {
    CudaMatrixPlan matrix;
    matrix.shape = shape;
    matrix.codes = take(plan, 4 * shape.weight_words());
    matrix.scales = take(plan, shape.scale_bytes());
    matrix.zero_points = take(plan, 4 * shape.zero_point_words());
    if (plan.bias) matrix.bias = take(plan, 4 * shape.outputs);
    return matrix;
}

}  // namespace

CudaBundlePlan plan_cuda_bundle(const BundleSpec& spec, const Shard& shard) noexcept {
    Layer local = spec.layer;
    local.intermediate_size = shard.slice.size;
    CudaBundlePlan plan;
    plan.layer = plan_marlin_layer(spec.config, local, shard.slice.down_group_size,
                                   layout::MarlinTile::kK16N64);
    plan.slot_count = shard.slot_count;
    plan.asymmetric = spec.config.asymmetric();
    plan.bias = spec.layer.bias;
    plan.ordered_inputs = spec.config.order == Order::kGroup;
    plan.w13 = take_matrix(plan, plan.layer.w13);
    plan.w2 = take_matrix(plan, plan.layer.w2);
    if (plan.ordered_inputs) plan.hidden_order = take(plan, 4 * plan.layer.w13.inputs);
    plan.slot_map = plan.total_bytes;
    plan.total_bytes += round_up(sizeof(int32_t) * static_cast<uint64_t>(spec.layer.expert_count),
                                 kArrayAlignmentBytes);
    return plan;
}

void tiles_by_row(const MarlinShape& shape, const uint8_t* by_column, uint8_t* out) noexcept {
    const int64_t rows = shape.inputs / 16;
    const int64_t columns = shape.outputs / 64;
    const int64_t tile_bytes = marlin_tile_bytes(shape);
    for (int64_t column = 0; column < columns; ++column) {
        for (int64_t row = 0; row < rows; ++row) {
            std::memcpy(out + (row * columns + column) * tile_bytes,
                        by_column + (column * rows + row) * tile_bytes,
                        static_cast<size_t>(tile_bytes));
        }
    }
}

}  // namespace mmoe
