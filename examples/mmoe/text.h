// SPDX-License-Identifier: Apache-2.0
// How the tool writes the library's values for people.
#pragma once

#include <cstdint>
#include <string>

#include "marlin_moe.h"

namespace tool {

// As printf.
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

std::string dtype_name(mmoe_dtype dtype);            // "bf16"
std::string activation_name(mmoe_activation value);  // "silu"
std::string tier_name(mmoe_cpu_tier tier);           // "avx512"
std::string byte_text(uint64_t bytes);               // "1.5 MiB"

// Such as "compressed-tensors int4 asymmetric group 128".
std::string scheme_text(const mmoe_quant_fields& fields);
// Such as "E128 k8 H2048 I768 silu".
std::string layer_text(const mmoe_layer& layer, uint32_t top_k);

}  // namespace tool
