// SPDX-License-Identifier: Apache-2.0
// The rows for many tokens an expert on Hopper.
#pragma once

#include <span>

#include "cuda/launch.h"

namespace mmoe::cuda {

// None in builds that have no code for sm_90a.
std::span<const Row> rows_prefill() noexcept;

}  // namespace mmoe::cuda
