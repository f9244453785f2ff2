// SPDX-License-Identifier: Apache-2.0
// Where everything of a bundle lies in device memory: offsets from shapes alone. Every part is
// one array over slots, as the kernels want it.
#pragma once

#include <cstdint>

#include "bundle/spec.h"
#include "repack/marlin.h"

namespace mmoe {

struct CudaMatrixPlan {
    MarlinShape shape;
    uint64_t codes = 0;        // [slots, N/64, K/16] Marlin tiles
    uint64_t scales = 0;       // [slots, groups, N]
    uint64_t zero_points = 0;  // [slots, groups, N * bits / 32]; asymmetric only
    uint64_t bias = 0;         // [slots, N] fp32; only with biases
};

// Offsets are bytes.
struct CudaBundlePlan {
    MarlinLayerPlan layer;
    CudaMatrixPlan w13;
    CudaMatrixPlan w2;
    uint64_t slot_map = 0;      // [E]
    uint64_t hidden_order = 0;  // [slots, w13 inputs] i32, -1 in padding; activation order only
    uint64_t total_bytes = 0;
    int64_t slot_count = 0;
    bool asymmetric = false;
    bool bias = false;
    bool ordered_inputs = false;
};

// `spec` is supported; an absent scale type is bf16.
[[nodiscard]] CudaBundlePlan plan_cuda_bundle(const BundleSpec& spec, const Shard& shard) noexcept;

}  // namespace mmoe
