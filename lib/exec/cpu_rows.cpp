// SPDX-License-Identifier: Apache-2.0
#include "exec/cpu_rows.h"

namespace mmoe {
namespace {

// Null if the row may serve, else why not.
const char* refuse(const cpu::Row& row, const layout::CpuRecordPlan& plan, cpu::Element source,
                   Precision precision, cpu::Tier tier) {
    if (!cpu::includes(tier, row.tier)) return "not of the context's CPU tier";
    if (precision == Precision::kExact && !row.exact) return "not exact";
    if (precision != Precision::kInt8 && row.format == cpu::ActivationFormat::kInt8) {
        return "8-bit activations serve int8 precision only";
    }
    return row.refuse(plan, source);
}

GemmRows choose(const layout::CpuRecordPlan& plan, cpu::Element source, Precision precision,
                cpu::Tier tier) {
    const cpu::Row* many = nullptr;
    for (const cpu::Row& row : cpu::rows()) {
        if (refuse(row, plan, source, precision, tier) != nullptr) continue;
        if (row.least_tokens == 1) {
            return {&row, many != nullptr && many->format == row.format ? many : nullptr};
        }
        if (many == nullptr) many = &row;
    }
    return {};
}

void explain(std::string& text, const char* gemm, const layout::CpuRecordPlan& plan,
             cpu::Element source, Precision precision, cpu::Tier tier) {
    const GemmRows chosen = choose(plan, source, precision, tier);
    for (const cpu::Row& row : cpu::rows()) {
        text += std::string(gemm) + ": " + row.name;
        if (&row == chosen.few) {
            text += "\n";
            return;
        }
        if (&row == chosen.many) {
            text += " for experts of " + std::to_string(row.least_tokens) + " tokens and more\n";
            continue;
        }
        const char* reason = refuse(row, plan, source, precision, tier);
        text += std::string(" passed over: ") +
                (reason != nullptr ? reason : "packs otherwise than the row of few tokens") + "\n";
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
    if (rows.gate_up.few == nullptr || rows.down.few == nullptr) {
        return Status::error(Code::kUnsupported, "no CPU kernel row serves the %s",
                             rows.gate_up.few == nullptr ? "first GEMM" : "second GEMM");
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
