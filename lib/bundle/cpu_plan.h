// SPDX-License-Identifier: Apache-2.0
// Where everything of a bundle lies in host memory: offsets from shapes alone.
//
//   bundle = experts, each expert_bytes() long
//   expert = gate and up records (one gated pair; or up alone), down records, then, if the layer
//            has biases, gate-and-up biases and down biases as fp32 in lane order
#pragma once

#include <cstdint>

#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "layout/cpu_record.h"

namespace mmoe {

struct CpuBundlePlan {
    layout::CpuRecordPlan gate_up;
    layout::CpuRecordPlan down;
    int64_t expert_count = 0;  // local
    bool bias = false;

    [[nodiscard]] constexpr int64_t down_offset_bytes() const noexcept {
        return gate_up.matrix_bytes();
    }
    [[nodiscard]] constexpr int64_t gate_up_bias_offset_bytes() const noexcept {
        return down_offset_bytes() + down.matrix_bytes();
    }
    [[nodiscard]] constexpr int64_t down_bias_offset_bytes() const noexcept {
        return gate_up_bias_offset_bytes() + bias_bytes(gate_up);
    }
    [[nodiscard]] constexpr int64_t expert_bytes() const noexcept {
        return down_bias_offset_bytes() + bias_bytes(down);
    }
    [[nodiscard]] constexpr int64_t total_bytes() const noexcept {
        return expert_count * expert_bytes();
    }

  private:
    [[nodiscard]] constexpr int64_t bias_bytes(const layout::CpuRecordPlan& plan) const noexcept {
        return bias ? plan.blocks() * layout::kLanes * int64_t{sizeof(float)} : 0;
    }
};

// `config` and `layer` are supported; an absent scale type is bf16.
[[nodiscard]] CpuBundlePlan plan_cpu_bundle(const QuantConfig& config, const Layer& layer,
                                            int64_t expert_count) noexcept;

}  // namespace mmoe
