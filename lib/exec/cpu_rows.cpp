// SPDX-License-Identifier: Apache-2.0
#include "exec/cpu_rows.h"

namespace mmoe {
namespace {

// Null if the row may serve, else why not.
const char* refuse(const cpu::Row& row, const layout::CpuRecordPlan& plan, cpu::Element source,
                   Precision precision, cpu::Tier tier) {
    if (row.tier > tier) return "the context's CPU tier is lower";
    if (precision == Precision::kExact && !row.exact) return "not exact";
    if (precision != Precision::kExact && row.exact && row.tier != cpu::Tier::kScalar) {
        return "exact rows serve exact precision only";
    }
    if (precision != Precision::kInt8 && row.format == cpu::ActivationFormat::kInt8) {
        return "8-bit activations serve int8 precision only";
    }
    return row.refuse(plan, source);
}

const cpu::Row* choose(const layout::CpuRecordPlan& plan, cpu::Element source, Precision precision,
                       cpu::Tier tier) {
    for (const cpu::Row& row : cpu::rows()) {
        if (refuse(row, plan, source, precision, tier) == nullptr) return &row;
    }
    return nullptr;
}

void explain(std::string& text, const char* gemm, const layout::CpuRecordPlan& plan,
             cpu::Element source, Precision precision, cpu::Tier tier) {
    for (const cpu::Row& row : cpu::rows()) {
        const char* reason = refuse(row, plan, source, precision, tier);
        text += std::string(gemm) + ": " + row.name;
        if (reason == nullptr) {
            text += "\n";
            return;
        }
        text += std::string(" passed over: ") + reason + "\n";
    }
    text += std::string(gemm) + ": no row serves\n";
}

}  // namespace

// The intermediate is fp32 whatever the hidden states are: rounding it to 16 bits would cost
// more accuracy than all the rest.
Result<CpuRows> choose_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                                cpu::Tier tier) {
    CpuRows rows;
    rows.gate_up = choose(plan.gate_up, hidden, precision, tier);
    rows.down = choose(plan.down, cpu::Element::kF32, precision, tier);
    rows.elementwise = &cpu::elementwise(tier);
    if (rows.gate_up == nullptr || rows.down == nullptr) {
        return Status::error(Code::kUnsupported, "no CPU kernel row serves the %s",
                             rows.gate_up == nullptr ? "first GEMM" : "second GEMM");
    }
    return rows;
}

std::string explain_cpu_rows(const CpuBundlePlan& plan, cpu::Element hidden, Precision precision,
                             cpu::Tier tier) {
    std::string text;
    explain(text, "gemm 1", plan.gate_up, hidden, precision, tier);
    explain(text, "gemm 2", plan.down, cpu::Element::kF32, precision, tier);
    return text;
}

}  // namespace mmoe
