// SPDX-License-Identifier: Apache-2.0
// Which CPU kernel rows serve a layer, and why each better one was passed over. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "bundle/cpu_plan.h"
#include "cpu/launch.h"

namespace mmoe {

enum class Precision : int32_t { kDefault = 0, kExact = 1, kInt8 = 2 };  // as mmoe_precision

// The rows of one GEMM. Both pack activations alike.
struct GemmRows {
    const cpu::Row* few = nullptr;   // serves any number of tokens
    const cpu::Row* many = nullptr;  // serves experts of its least_tokens and more; null: none

    [[nodiscard]] const cpu::Row& serving(int64_t tokens) const noexcept {
        return many != nullptr && tokens >= many->least_tokens ? *many : *few;
    }
};

struct CpuRows {
    GemmRows gate_up;
    GemmRows down;
    const cpu::Elementwise* elementwise = nullptr;
};

Result<CpuRows> choose_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                                cpu::Tier tier);

// Lines for mmoe_executor_explain().
std::string explain_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                             cpu::Tier tier);

}  // namespace mmoe
