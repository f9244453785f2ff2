// SPDX-License-Identifier: Apache-2.0
// What a launch of a grouped GEMM is given: out[row][n] = sum over k of W[expert of row][n][k] *
// x[row][k], and what is done to the sums.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/launch.h"
#include "cuda/routing.h"

namespace mmoe::cuda {

struct GemmArgs {
    Matrix matrix;
    Routing routing;
    ActivationArgs activation;
    bool gated;
    int32_t block_columns;  // blocks along N

    const void* x;  // 16-bit, rows x_stride elements apart, 16-byte aligned
    int64_t x_stride;
    int32_t x_columns;          // that exist; beyond, x is 0. A multiple of 8
    int32_t x_slots_per_row;    // row of x = slot / this; 0: row of x = row
    const float* slot_weights;  // [slots] multiply the sums before the bias; or null

    void* out;  // 16-bit [rows, out_stride]
    int64_t out_stride;

    // Of rows that claim their items.
    ItemQueue* queue;
    float* partials;      // kPartialBytes for the sums of pieces; null: items are not cut
    bool routed_earlier;  // the kernel before had waited for routing
};

constexpr int64_t kPartialBytes = int64_t{264} * 256 * 128 * 4;  // two pieces a processor

}  // namespace mmoe::cuda
