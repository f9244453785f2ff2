// SPDX-License-Identifier: Apache-2.0
#include "bundle/cpu_plan.h"

namespace mmoe {

CpuBundlePlan plan_cpu_bundle(const QuantConfig& config, const Layer& layer,
                              int64_t expert_count) noexcept {
    layout::CpuRecordPlan common;
    common.bits = config.bits;
    common.asymmetric = config.asymmetric();
    common.scale_type = config.scale_type.value_or(layout::ScaleType::kBf16);

    CpuBundlePlan plan;
    plan.gate_up = common;
    plan.gate_up.outputs = layer.intermediate_size;
    plan.gate_up.inputs = layer.hidden_size;
    plan.gate_up.group_size = config.group_size_for(layer.hidden_size);
    plan.gate_up.gated_pair = layer.gated();
    plan.down = common;
    plan.down.outputs = layer.hidden_size;
    plan.down.inputs = layer.intermediate_size;
    plan.down.group_size = config.group_size_for(layer.intermediate_size);
    plan.expert_count = expert_count;
    plan.bias = layer.bias;
    return plan;
}

}  // namespace mmoe
