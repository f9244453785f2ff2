// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cpu/launch.h"
#include "exec/cpu_rows.h"

namespace mmoe {

// The inside of mmoe_executor_options, defaults resolved.
struct ExecutorOptions {
    int64_t max_tokens = 0;
    int64_t max_top_k = 0;
    cpu::Element hidden_type = cpu::Element::kBf16;
    cpu::Element output_type = cpu::Element::kBf16;
    Precision precision = Precision::kDefault;
};

}  // namespace mmoe
