// SPDX-License-Identifier: Apache-2.0
// Which CPU kernel rows serve a layer, and why each better one was passed over. Pure.
#pragma once

#include <string>

#include "base/status.h"
#include "bundle/cpu_plan.h"
#include "cpu/launch.h"

namespace mmoe {

enum class Precision : int32_t { kDefault = 0, kExact = 1, kInt8 = 2 };  // as mmoe_precision

struct CpuRows {
    const cpu::Row* gate_up = nullptr;
    const cpu::Row* down = nullptr;
    const cpu::Elementwise* elementwise = nullptr;
};

Result<CpuRows> choose_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                                cpu::Tier tier);

// Lines for mmoe_executor_explain().
std::string explain_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                             cpu::Tier tier);

}  // namespace mmoe
