// SPDX-License-Identifier: Apache-2.0
// Where everything of a bundle lies in host memory: offsets from shapes alone.
//
//   bundle = slots, one an expert, each slot_bytes() long
//   slot   = gate and up records (one gated pair; or up alone), down records,
//            biases, if any: gate and up, then down, as fp32 in lane order
//            input order of gate and up, if the format has activation order: i32 [H]
#pragma once

#include <cstdint>

#include "bundle/spec.h"
#include "layout/cpu_record.h"

namespace mmoe {

struct CpuBundlePlan {
    layout::CpuRecordPlan gate_up;
    layout::CpuRecordPlan down;
    int64_t slot_count = 0;
    bool bias = false;
    bool input_order = false;

    [[nodiscard]] constexpr int64_t down_offset_bytes() const noexcept {
        return gate_up.matrix_bytes();
    }
    [[nodiscard]] constexpr int64_t gate_up_bias_offset_bytes() const noexcept {
        return down_offset_bytes() + down.matrix_bytes();
    }
    [[nodiscard]] constexpr int64_t down_bias_offset_bytes() const noexcept {
        return gate_up_bias_offset_bytes() + bias_bytes(gate_up);
    }
    [[nodiscard]] constexpr int64_t order_offset_bytes() const noexcept {
        return down_bias_offset_bytes() + bias_bytes(down);
    }
    [[nodiscard]] constexpr int64_t slot_bytes() const noexcept {
        const int64_t order_bytes =
            input_order ? (gate_up.inputs * int64_t{sizeof(int32_t)} + 63) / 64 * 64 : 0;
        return order_offset_bytes() + order_bytes;
    }
    [[nodiscard]] constexpr int64_t total_bytes() const noexcept {
        return slot_count * slot_bytes();
    }

  private:
    [[nodiscard]] constexpr int64_t bias_bytes(const layout::CpuRecordPlan& plan) const noexcept {
        return bias ? plan.blocks() * layout::kLanes * int64_t{sizeof(float)} : 0;
    }
};

// The spec is supported; an absent scale type is bf16.
[[nodiscard]] CpuBundlePlan plan_cpu_bundle(const BundleSpec& spec, const Shard& shard) noexcept;

}  // namespace mmoe
