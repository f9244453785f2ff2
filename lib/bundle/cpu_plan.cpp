// SPDX-License-Identifier: Apache-2.0
#include "bundle/cpu_plan.h"

namespace mmoe {

CpuBundlePlan plan_cpu_bundle(const BundleSpec& spec, const Shard& shard) noexcept {
    const QuantConfig& config = spec.config;
    layout::CpuRecordPlan common;
    common.bits = config.bits;
    common.asymmetric = config.asymmetric();
    common.scale_type = config.scale_type.value_or(layout::ScaleType::kBf16);

    CpuBundlePlan plan;
    plan.gate_up = common;
    plan.gate_up.outputs = shard.slice.size;
    plan.gate_up.inputs = spec.layer.hidden_size;
    plan.gate_up.group_size = config.group_size_for(spec.layer.hidden_size);
    plan.gate_up.gated_pair = spec.layer.gated();
    plan.down = common;
    plan.down.outputs = spec.layer.hidden_size;
    plan.down.inputs = shard.slice.size;
    plan.down.group_size = shard.slice.down_group_size;
    plan.slot_count = shard.slot_count;
    plan.bias = spec.layer.bias;
    plan.input_order = config.order == Order::kGroup;
    return plan;
}

}  // namespace mmoe
