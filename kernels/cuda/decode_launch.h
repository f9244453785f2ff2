// SPDX-License-Identifier: Apache-2.0
// The host's side of the decode kernel.
#pragma once

#include <cstdint>
#include <span>

#include "cuda/decode.h"
#include "cuda/launch.h"

namespace mmoe::cuda {

struct DecodeLaunch {
    const Row& row;
    const Device& device;
    const Layer& layer;
    const Run& run;
    const void* x;  // as DecodeArgs
    int64_t x_stride;
    int32_t x_columns;
    uint16_t* intermediate;  // [slots, intermediate_size]
    float* results;          // [slots, decode_results_per_slot()]
    DecodeCounters* counters;
    DecodeOneState* one;
};

std::span<const Row> decode_one_rows() noexcept;
std::span<const Row> decode_rows_bf16() noexcept;
std::span<const Row> decode_rows_f16() noexcept;

int64_t decode_results_per_slot(const Matrix& w2) noexcept;

// Returns a cudaError_t. For runs that the row does not refuse.
int launch_decode(const DecodeLaunch& launch, void* stream) noexcept;

}  // namespace mmoe::cuda
