// SPDX-License-Identifier: Apache-2.0
#include "bundle/cuda_plan.h"

#include "base/checked.h"

namespace mmoe {
namespace {

constexpr uint64_t kAlignmentBytes = 256;

// Takes one array from the end of what is planned so far.
uint64_t take(CudaBundlePlan& plan, int64_t bytes_per_slot, int64_t slots) noexcept {
    const uint64_t begin = plan.total_bytes;
    const auto bytes = static_cast<uint64_t>(bytes_per_slot * slots);
    plan.total_bytes += round_up(bytes, kAlignmentBytes);
    return begin;
}

CudaMatrixPlan take_matrix(CudaBundlePlan& plan, const MarlinShape& shape) noexcept {
    const int64_t slots = plan.slot_count;
    CudaMatrixPlan matrix;
    matrix.shape = shape;
    matrix.codes = take(plan, 4 * shape.weight_words(), slots);
    matrix.scales = take(plan, shape.scale_bytes(), slots);
    matrix.zero_points = take(plan, 4 * shape.zero_point_words(), slots);
    if (plan.bias) matrix.bias = take(plan, 4 * shape.outputs, slots);
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
    if (plan.ordered_inputs) {
        plan.hidden_order = take(plan, 4 * plan.layer.w13.inputs, plan.slot_count);
    }
    plan.slot_map = take(plan, int64_t{sizeof(int32_t)}, spec.layer.expert_count);
    return plan;
}

}  // namespace mmoe
