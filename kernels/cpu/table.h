// SPDX-License-Identifier: Apache-2.0
// Inside of room kernels/cpu: what a table of rows needs beside the tiers' functions.
#pragma once

#include "cpu/launch.h"

namespace mmoe::cpu {

inline const char* refuse_int4(const layout::CpuRecordPlan& plan, Element /*source_type*/) {
    return plan.bits == 4 ? nullptr : "takes 4-bit codes";
}
inline const char* refuse_int8(const layout::CpuRecordPlan& plan, Element /*source_type*/) {
    return plan.bits == 8 ? nullptr : "takes 8-bit codes";
}
inline const char* refuse_bf16_int4(const layout::CpuRecordPlan& plan, Element source_type) {
    if (source_type != Element::kBf16) return "takes bf16 activations";
    return refuse_int4(plan, source_type);
}

}  // namespace mmoe::cpu
