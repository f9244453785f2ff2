// SPDX-License-Identifier: Apache-2.0
#include "cuda/decode_launch.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "cuda/decode_one.h"
#include "cuda/decode_rows.h"

namespace mmoe::cuda {
namespace {

// Longer columns of GEMM 2 are cut, so that few experts still give every processor an item.
constexpr int32_t kMostSplitUnits = 32;

int32_t round_up_quotient(int32_t value, int32_t by) noexcept {
    return (value + by - 1) / by;
}

// Parts of the slots in GEMM 2 of one token: two where that gives blocks more equal work.
int32_t one_splits(const Matrix& w2, int32_t blocks) noexcept {
    const int32_t strips = w2.outputs / kOneColumns;
    const int32_t rounds = round_up_quotient(strips, blocks);
    return round_up_quotient(2 * strips, blocks) < 2 * rounds ? 2 : 1;
}

int32_t split_count(const Matrix& w2) noexcept {
    return round_up_quotient(w2.inputs, kMostSplitUnits * decode_unit_inputs(w2.bits));
}

DecodeGemm cut(const Matrix& matrix, bool gated, int32_t splits) noexcept {
    const int32_t unit_inputs = decode_unit_inputs(matrix.bits);
    const int32_t tile_columns = matrix.outputs / 64;
    DecodeGemm gemm;
    gemm.matrix = matrix;
    gemm.column_blocks = gated ? tile_columns / 2 : round_up_quotient(tile_columns, 2);
    gemm.units = round_up_quotient(matrix.inputs, unit_inputs);
    gemm.split_units = round_up_quotient(gemm.units, splits);
    gemm.splits = round_up_quotient(gemm.units, gemm.split_units);
    const bool strips = matrix.tile_row_stride_bytes == 128 * matrix.bits;
    gemm.whole_units = strips ? matrix.inputs / unit_inputs : 0;
    gemm.unit_groups = std::max(1, unit_inputs / matrix.group_size);
    gemm.group_factor =
        quotient_factor(static_cast<uint32_t>(std::max(1, matrix.group_size / unit_inputs)));
    gemm.unit_factor = quotient_factor(static_cast<uint32_t>(gemm.units));
    gemm.groups = matrix.groups();
    gemm.scale_row_bytes = 2 * matrix.outputs;
    gemm.zero_row_bytes = matrix.outputs * matrix.bits / 8;
    gemm.scale_form = {matrix.scale_type == layout::ScaleType::kBf16,
                       matrix.scale_order == layout::MarlinScaleOrder::kSingle,
                       matrix.zero_points == nullptr};
    return gemm;
}

DecodeArgs describe(const DecodeLaunch& launch) noexcept {
    const Layer& layer = launch.layer;
    const Run& run = launch.run;
    DecodeArgs args = {};
    args.gemm[0] = cut(layer.w13, layer.gated, 1);
    args.gemm[1] = cut(layer.w2, false, split_count(layer.w2));
    args.expert_ids = run.expert_ids;
    args.expert_map = run.expert_map;
    args.map_size = run.map_size;
    args.slot_map = layer.slot_map;
    args.first_expert = layer.first_expert;
    args.global_expert_count = layer.global_expert_count;
    args.expert_count = layer.expert_count;
    args.slot_count = static_cast<int32_t>(run.tokens * run.top_k);
    args.top_k = run.top_k;
    args.token_factor = quotient_factor(static_cast<uint32_t>(run.top_k));
    args.skipped = run.skipped;
    args.activation = {layer.activation, layer.alpha, layer.beta, layer.limit};
    args.gated = layer.gated;
    args.router_weight_on_input = layer.router_weight_on_input;
    args.router_weights = run.expert_weights;
    args.x = launch.x;
    args.x_stride = launch.x_stride;
    args.x_columns = launch.x_columns;
    args.intermediate = launch.intermediate;
    args.intermediate_stride = layer.intermediate_size;
    args.results = launch.results;
    args.counters = launch.counters;
    args.one = launch.one;
    args.one_splits = one_splits(layer.w2, launch.device.processor_count);
    args.output = run.output;
    args.output_type = run.output_type;
    args.output_stride = run.output_stride;
    args.columns = layer.hidden_size;
    args.tokens = static_cast<int32_t>(run.tokens);
    const int32_t groups = std::max(args.gemm[0].unit_groups, args.gemm[1].unit_groups);
    args.ring_unit_bytes = decode_unit_bytes(layer.w13.bits, groups);
    return args;
}

}  // namespace

int64_t decode_results_per_slot(const Matrix& w2) noexcept {
    return int64_t{split_count(w2)} * w2.outputs;
}

int launch_decode(const DecodeLaunch& launch, void* stream) noexcept {
    DecodeArgs args = describe(launch);
    void* arguments[] = {&args};
    return cudaLaunchKernel(reinterpret_cast<const void*>(launch.row.layer_kernel),
                            dim3(static_cast<unsigned>(launch.device.processor_count)),
                            dim3(static_cast<unsigned>(launch.row.threads)), arguments,
                            static_cast<size_t>(launch.row.shared_bytes),
                            static_cast<cudaStream_t>(stream));
}

}  // namespace mmoe::cuda
