// SPDX-License-Identifier: Apache-2.0
#include "exec/cpu_workspace.h"

#include <limits>

#include "base/checked.h"
#include "base/memory.h"

namespace mmoe {
namespace {

// Hands out consecutive arrays; remembers whether a size overflowed.
class Carver {
  public:
    int64_t take(int64_t count, int64_t element_bytes) noexcept {
        const int64_t offset = total_bytes_;
        const auto bytes = checked_mul(count, element_bytes);
        const auto end = bytes ? checked_add(offset, *bytes) : std::nullopt;
        if (!end || *end > std::numeric_limits<int64_t>::max() - 64) {
            overflowed_ = true;
            return 0;
        }
        total_bytes_ = round_up(*end, int64_t{kAlignmentBytes});
        return offset;
    }
    [[nodiscard]] bool overflowed() const noexcept { return overflowed_; }
    [[nodiscard]] int64_t total_bytes() const noexcept { return total_bytes_; }

  private:
    int64_t total_bytes_ = 0;
    bool overflowed_ = false;
};

PackedRows take_rows(Carver& carver, const layout::CpuRecordPlan& plan, const cpu::Row& row,
                     int64_t count) noexcept {
    PackedRows rows;
    rows.x_bytes =
        round_up(cpu::x_elements(plan) * static_cast<int64_t>(cpu::activation_bytes(row.format)),
                 int64_t{kAlignmentBytes});
    rows.sum_count = cpu::x_sum_count(plan);
    rows.scale_count = cpu::x_scale_count(plan);
    rows.x_offset = carver.take(count, rows.x_bytes);
    rows.sum_offset = carver.take(count, rows.sum_count * int64_t{sizeof(float)});
    rows.scale_offset = carver.take(count, rows.scale_count * int64_t{sizeof(float)});
    return rows;
}

}  // namespace

Result<CpuWorkspacePlan> plan_cpu_workspace(const CpuBundlePlan& bundle, const CpuRows& rows,
                                            const CpuWorkspaceNeed& need) {
    CpuWorkspacePlan plan;
    plan.tokens = need.tokens;
    const auto slots = checked_mul(need.tokens, need.top_k);
    if (!slots || *slots > std::numeric_limits<int32_t>::max()) {
        return Status::error(
            Code::kInvalidArgument, "tokens x top_k: expected at most 2^31 - 1, got %lld x %lld",
            static_cast<long long>(need.tokens), static_cast<long long>(need.top_k));
    }
    plan.slots = *slots;
    Carver carver;
    plan.first_offset = carver.take(need.expert_count + 1, sizeof(int32_t));
    plan.token_offset = carver.take(plan.slots, sizeof(int32_t));
    plan.weight_offset = carver.take(plan.slots, sizeof(float));
    plan.active_offset = carver.take(need.expert_count, sizeof(int32_t));
    // Experts order their inputs differently, so each slot needs a row of its own.
    plan.hidden = take_rows(carver, bundle.gate_up, *rows.gate_up.few,
                            bundle.input_order ? plan.slots : plan.tokens);
    if (bundle.input_order) {
        plan.gather_offset = carver.take(
            need.thread_count,
            bundle.gate_up.inputs * static_cast<int64_t>(cpu::element_bytes(need.hidden_type)));
    }
    plan.intermediate = take_rows(carver, bundle.down, *rows.down.few, plan.slots);
    plan.intermediate_offset =
        carver.take(plan.slots, bundle.gate_up.outputs * int64_t{sizeof(float)});
    plan.sums_offset = carver.take(plan.tokens, bundle.down.outputs * int64_t{sizeof(float)});
    plan.total_bytes = carver.total_bytes();
    if (carver.overflowed()) {
        return Status::error(Code::kInvalidArgument,
                             "the workspace for %lld tokens exceeds 2^63 bytes",
                             static_cast<long long>(need.tokens));
    }
    return plan;
}

}  // namespace mmoe
