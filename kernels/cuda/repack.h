// SPDX-License-Identifier: Apache-2.0
// The repacker on the device: one projection of any number of experts, as a checkpoint or another
// program packs it, becomes its part of a Marlin matrix. One launch a tensor for all experts.
// lib/repack makes the same bytes on the host.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "layout/source.h"

namespace mmoe::cuda {

// Device memory. Strides lead from one expert to the next. A null tensor is left out.
struct RepackSource {
    layout::SourceShape shape;  // of one whole tensor
    const uint32_t* codes = nullptr;
    int64_t codes_stride = 0;  // words
    const void* scales = nullptr;
    int64_t scales_stride_bytes = 0;
    layout::ScaleType scale_type = layout::ScaleType::kBf16;
    const void* zero_points = nullptr;
    int64_t zero_points_stride_bytes = 0;
    const int32_t* order = nullptr;  // [columns] input that comes to each place; or null
    int64_t order_stride = 0;
    const int32_t* channels = nullptr;  // [rows] output that comes to each place; or null
    int64_t channels_stride = 0;
    int64_t first_row = 0;     // without channels: the first output that is taken,
    int64_t first_column = 0;  // and without order the first input
};

struct RepackTarget {
    Matrix matrix;  // its shape and strides; where to write:
    void* codes = nullptr;
    void* scales = nullptr;
    uint32_t* zero_points = nullptr;
    int32_t first_output = 0;  // of the projection in the matrix: a multiple of 64
    int32_t rows = 0;          // outputs that are taken; the block of 64 that they end in is padded
    int32_t columns = 0;       // inputs that are taken; up to matrix.inputs there are zeros
    int32_t expert_count = 0;
};

// Enqueues codes, scales and zero points. Returns a cudaError_t.
int launch_repack(const RepackSource& source, const RepackTarget& target, void* stream) noexcept;

}  // namespace mmoe::cuda
