// SPDX-License-Identifier: Apache-2.0
// The host side of a run: choose a row, divide the workspace, enqueue the steps.
#include <cuda_runtime.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <numeric>

#include "cuda/borders.h"
#include "cuda/decode_launch.h"
#include "cuda/decode_one.h"
#include "cuda/elementwise.h"
#include "cuda/launch.h"
#include "cuda/moe_gemm.h"
#include "cuda/overlap.h"
#include "cuda/prefill_rows.h"
#include "cuda/routing.h"
#include "cuda/rows.h"

namespace mmoe::cuda {
namespace {

constexpr int32_t kNarrowestTile = 8;
constexpr int64_t kCutSlots = 64;  // fewer make too little work to be cut
constexpr int32_t kMostRows = 64;  // bits of Device::distrusted_rows

// All rows in one table.
struct Table {
    Row rows[kMostRows];
    size_t count = 0;

    Table() noexcept {
        for (const std::span<const Row> part :
             {decode_one_rows(), decode_rows_bf16(), decode_rows_f16(), rows_prefill(), rows_bf16(),
              rows_f16()}) {
            assert(count + part.size() <= kMostRows);
            for (const Row& row : part) rows[count++] = row;
        }
    }
};

Element compute_type(Element hidden_type) noexcept {
    return hidden_type == Element::kF16 ? Element::kF16 : Element::kBf16;
}

// Byte offsets of one run in the workspace. What must survive from run to run, the ticket, the
// decode kernel's counters and the one-token kernel's state, comes first, wherever the others are.
struct Workspace {
    size_t ticket, counters, one, tile_count, row_begin, first_tile, tile_expert, row_slot,
        slot_row, chunk_rows, queues;
    size_t hidden, intermediate, results, decode_results, partials;
    bool has_partials;
    size_t total;
};

class Divider {
  public:
    size_t take(int64_t count, size_t element_bytes) noexcept {
        const size_t begin = end_;
        const size_t bytes = static_cast<size_t>(count) * element_bytes;
        end_ += (bytes + 255) / 256 * 256;
        return begin;
    }
    [[nodiscard]] size_t end() const noexcept { return end_; }

  private:
    size_t end_ = 0;
};

Workspace divide(const Layer& layer, int64_t tokens, int32_t top_k) noexcept {
    const int64_t slots = tokens * top_k;
    const int64_t experts = layer.expert_count;
    Divider space;
    Workspace parts = {};
    parts.ticket = space.take(1, sizeof(int32_t));
    parts.counters = space.take(1, sizeof(DecodeCounters));
    parts.one = space.take(1, sizeof(DecodeOneState));
    parts.tile_count = space.take(1, sizeof(int32_t));
    parts.row_begin = space.take(experts + 1, sizeof(int32_t));
    parts.first_tile = space.take(experts, sizeof(int32_t));
    // Each expert has at most one tile that is not full.
    parts.tile_expert = space.take(slots / kNarrowestTile + experts, sizeof(int32_t));
    parts.row_slot = space.take(slots, sizeof(int32_t));
    parts.slot_row = space.take(slots, sizeof(int32_t));
    if (counts_chunks(slots, experts)) {
        const int64_t chunks = (slots + kRouteChunk - 1) / kRouteChunk;
        parts.chunk_rows = space.take(chunks * experts, sizeof(int32_t));
    }
    parts.queues = space.take(2, sizeof(ItemQueue));
    const int64_t hidden_rows = layer.ordered_inputs ? slots : tokens;
    parts.hidden = space.take(hidden_rows * layer.w13.inputs, sizeof(uint16_t));
    parts.intermediate = space.take(slots * layer.intermediate_size, sizeof(uint16_t));
    parts.results = space.take(slots * layer.w2.outputs, sizeof(uint16_t));
    parts.decode_results = space.take(
        std::min<int64_t>(slots, kDecodeSlots) * decode_results_per_slot(layer.w2), sizeof(float));
    parts.has_partials = slots >= kCutSlots && !rows_prefill().empty();
    if (parts.has_partials) parts.partials = space.take(kPartialBytes, 1);
    parts.total = space.end();
    return parts;
}

// A run in progress: what its steps share.
struct Steps {
    const Device& device;
    const Layer& layer;
    const Run& run;
    const Row& row;
    uint8_t* memory;
    Workspace parts;
    void* stream;

    template <class T>
    [[nodiscard]] T* at(size_t offset) const noexcept {
        return reinterpret_cast<T*>(memory + offset);
    }
    [[nodiscard]] Routing routing() const noexcept {
        return {at<int32_t>(parts.ticket),      at<int32_t>(parts.tile_count),
                at<int32_t>(parts.row_begin),   at<int32_t>(parts.first_tile),
                at<int32_t>(parts.tile_expert), at<int32_t>(parts.row_slot),
                at<int32_t>(parts.slot_row),    at<int32_t>(parts.chunk_rows),
                at<ItemQueue>(parts.queues)};
    }
};

struct Hidden {
    const void* rows;
    int64_t stride;
    int32_t columns;
    int32_t slots_per_row;
};

// Hidden states are read where they are if a 16-byte copy can take them.
bool readable_in_place(const Layer& layer, const Run& run) noexcept {
    return run.hidden_type != Element::kF32 && !layer.ordered_inputs &&
           layer.hidden_size % 8 == 0 && run.hidden_stride % 8 == 0 &&
           reinterpret_cast<uintptr_t>(run.hidden) % 16 == 0;
}

int stage_hidden(const Steps& steps, Hidden& hidden) noexcept {
    const Run& run = steps.run;
    const Layer& layer = steps.layer;
    if (readable_in_place(layer, run)) {
        hidden = {run.hidden, run.hidden_stride, std::min(layer.hidden_size, layer.w13.inputs),
                  run.top_k};
        return cudaSuccess;
    }
    auto* staged = steps.at<uint16_t>(steps.parts.hidden);
    hidden = {staged, layer.w13.inputs, layer.w13.inputs, layer.ordered_inputs ? 1 : run.top_k};
    const StageArgs stage = {.hidden_type = run.hidden_type,
                             .compute_type = compute_type(run.hidden_type),
                             .hidden = run.hidden,
                             .hidden_stride = run.hidden_stride,
                             .columns = layer.hidden_size,
                             .out = staged,
                             .out_columns = layer.w13.inputs,
                             .tokens = run.tokens,
                             .token_count = run.token_count};
    if (!layer.ordered_inputs) return launch_stage(stage, steps.stream);
    return launch_gather({.stage = stage,
                          .routing = steps.routing(),
                          .expert_count = layer.expert_count,
                          .top_k = run.top_k,
                          .order = layer.hidden_order},
                         steps.stream);
}

int route(const Steps& steps) noexcept {
    return launch_route({.routing = steps.routing(),
                         .expert_ids = steps.run.expert_ids,
                         .expert_map = steps.run.expert_map,
                         .map_size = steps.run.map_size,
                         .tokens = steps.run.tokens,
                         .token_count = steps.run.token_count,
                         .top_k = steps.run.top_k,
                         .expert_count = steps.layer.expert_count,
                         .slot_map = steps.layer.slot_map,
                         .first_expert = steps.layer.first_expert,
                         .global_expert_count = steps.layer.global_expert_count,
                         .tile_tokens = steps.row.tile_tokens,
                         .skipped = steps.run.skipped},
                        steps.stream);
}

// Blocks stay on their processors and walk the items; more than there can be items are not
// started, unless items can be cut.
int launch_gemm(const Steps& steps, GemmArgs args) noexcept {
    const int32_t parts = args.gated ? 2 : 1;
    const int32_t part_tiles = args.matrix.outputs / 64 / parts;
    const int32_t block_tiles = steps.row.block_tiles / parts;
    args.block_columns = (part_tiles + block_tiles - 1) / block_tiles;
    const int64_t slots = steps.run.tokens * steps.run.top_k;
    const int64_t tiles =
        std::min<int64_t>(slots, slots / steps.row.tile_tokens + steps.layer.expert_count);
    const int64_t resident = int64_t{steps.device.processor_count} * steps.row.blocks_per_processor;
    const bool whole = !steps.row.claims_items;
    const auto blocks =
        static_cast<unsigned>(whole ? std::min(tiles * args.block_columns, resident) : resident);
    if (!whole && steps.parts.has_partials) args.partials = steps.at<float>(steps.parts.partials);
    void* arguments[] = {&args};
    const auto kernel = args.gated ? steps.row.gated_kernel : steps.row.kernel;
    auto overlap = overlap_attribute();
    const cudaLaunchConfig_t config = {
        .gridDim = dim3(blocks),
        .blockDim = dim3(static_cast<unsigned>(steps.row.threads)),
        .dynamicSmemBytes = static_cast<size_t>(steps.row.shared_bytes),
        .stream = static_cast<cudaStream_t>(steps.stream),
        .attrs = &overlap,
        .numAttrs = steps.row.claims_items ? 1U : 0U};
    return cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), arguments);
}

int gemm_1(const Steps& steps, const Hidden& hidden) noexcept {
    const Layer& layer = steps.layer;
    const ActivationArgs activation = {layer.activation, layer.alpha, layer.beta, layer.limit};
    return launch_gemm(
        steps, {.matrix = layer.w13,
                .routing = steps.routing(),
                .activation = activation,
                .gated = layer.gated,
                .x = hidden.rows,
                .x_stride = hidden.stride,
                .x_columns = hidden.columns,
                .x_slots_per_row = hidden.slots_per_row,
                .slot_weights = layer.router_weight_on_input ? steps.run.expert_weights : nullptr,
                .out = steps.at<uint16_t>(steps.parts.intermediate),
                .out_stride = layer.intermediate_size,
                .queue = steps.at<ItemQueue>(steps.parts.queues),
                .partials = nullptr,
                .routed_earlier = false});
}

int gemm_2(const Steps& steps) noexcept {
    const Layer& layer = steps.layer;
    return launch_gemm(steps, {.matrix = layer.w2,
                               .routing = steps.routing(),
                               .activation = {Activation::kNone, 0.0F, 0.0F, 0.0F},
                               .gated = false,
                               .x = steps.at<uint16_t>(steps.parts.intermediate),
                               .x_stride = layer.intermediate_size,
                               .x_columns = std::min(layer.w2.inputs, layer.intermediate_size),
                               .x_slots_per_row = 0,
                               .slot_weights = nullptr,
                               .out = steps.at<uint16_t>(steps.parts.results),
                               .out_stride = layer.w2.outputs,
                               .queue = steps.at<ItemQueue>(steps.parts.queues) + 1,
                               .partials = nullptr,
                               .routed_earlier = true});
}

int combine(const Steps& steps) noexcept {
    const Run& run = steps.run;
    const bool weighted = !steps.layer.router_weight_on_input;
    return launch_combine({.compute_type = compute_type(run.hidden_type),
                           .output_type = run.output_type,
                           .results = steps.at<uint16_t>(steps.parts.results),
                           .results_stride = steps.layer.w2.outputs,
                           .slot_row = steps.at<int32_t>(steps.parts.slot_row),
                           .weights = weighted ? run.expert_weights : nullptr,
                           .top_k = run.top_k,
                           .output = run.output,
                           .output_stride = run.output_stride,
                           .columns = steps.layer.hidden_size,
                           .tokens = run.tokens,
                           .token_count = run.token_count,
                           .overlaps = steps.row.claims_items},
                          steps.stream);
}

// The whole layer in one launch, but for the staging.
int decode(const Steps& steps) noexcept {
    Hidden hidden = {};
    const int status = stage_hidden(steps, hidden);
    if (status != cudaSuccess) return status;
    return launch_decode({.row = steps.row,
                          .device = steps.device,
                          .layer = steps.layer,
                          .run = steps.run,
                          .x = hidden.rows,
                          .x_stride = hidden.stride,
                          .x_columns = hidden.columns,
                          .intermediate = steps.at<uint16_t>(steps.parts.intermediate),
                          .results = steps.at<float>(steps.parts.decode_results),
                          .counters = steps.at<DecodeCounters>(steps.parts.counters),
                          .one = steps.at<DecodeOneState>(steps.parts.one)},
                         steps.stream);
}

// Everything before the combine.
int compute_slots(const Steps& steps) noexcept {
    Hidden hidden = {};
    int status = route(steps);
    if (status == cudaSuccess) status = stage_hidden(steps, hidden);
    if (status == cudaSuccess) status = gemm_1(steps, hidden);
    if (status == cudaSuccess) status = gemm_2(steps);
    return status;
}

const char* refuse_matrix(const Matrix& matrix) noexcept {
    if (matrix.bits != 4 && matrix.bits != 8) return "weights must have 4 or 8 bits";
    if (matrix.inputs <= 0 || matrix.inputs % 16 != 0) return "inputs must be a multiple of 16";
    if (matrix.outputs <= 0 || matrix.outputs % 64 != 0) return "outputs must be a multiple of 64";
    if (matrix.group_size <= 0 || matrix.group_size % 16 != 0 ||
        matrix.inputs % matrix.group_size != 0) {
        return "the group size must be a multiple of 16 that divides the inputs";
    }
    return nullptr;
}

}  // namespace

std::span<const Row> rows() noexcept {
    static const Table table;
    return {table.rows, table.count};
}

const char* passed_over(const Row& row, const Problem& problem) noexcept {
    const auto index = static_cast<size_t>(&row - rows().data());
    if ((problem.device.excluded_rows >> index & 1) != 0) return "another row was asked for";
    if ((problem.device.distrusted_rows >> index & 1) != 0) {
        return "it has no code for this device or failed its self-test";
    }
    if (const char* reason = row.refuse(problem)) return reason;
    if (problem.device.excluded_rows != 0) return nullptr;
    const Border border = border_of(row);
    if (problem.mean_tokens < border.least) return "an expert has too few tokens";
    if (problem.mean_tokens > border.most) return "an expert has too many tokens";
    if (problem.slots > border.most_slots) return "there are too many slots";
    return nullptr;
}

const Row* choose(const Problem& problem) noexcept {
    for (const Row& row : rows()) {
        if (passed_over(row, problem) == nullptr) return &row;
    }
    return nullptr;
}

Problem describe(const Device& device, const Layer& layer, const Run& run) noexcept {
    const int64_t slots = run.tokens * run.top_k;
    const int64_t experts = std::max(layer.global_expert_count, 1);
    Problem problem = {.device = device,
                       .compute_type = compute_type(run.hidden_type),
                       .bits = layer.w13.bits,
                       .mean_tokens = static_cast<int32_t>((slots + experts - 1) / experts),
                       .ordered_inputs = layer.ordered_inputs,
                       .counted_tokens = run.token_count != nullptr,
                       .tokens = run.tokens,
                       .slots = slots,
                       .expert_count = layer.expert_count,
                       .scale_type = layer.w13.scale_type,
                       .strips = true};
    int32_t* group_size = problem.group_sizes;
    for (const Matrix* matrix : {&layer.w13, &layer.w2}) {
        *group_size++ = matrix->group_size < matrix->inputs ? matrix->group_size : 0;
        problem.strips &= matrix->tile_row_stride_bytes == 128 * matrix->bits;
        problem.input_step = std::gcd(problem.input_step, matrix->inputs);
        problem.group_step = std::gcd(problem.group_step, matrix->group_size);
    }
    problem.hidden_inputs = layer.w13.inputs;
    problem.hidden_outputs = layer.w2.outputs;
    problem.intermediate_size = layer.intermediate_size;
    return problem;
}

const char* refuse(const Device& device, const Layer& layer, Element hidden_type,
                   Element /*output_type*/) noexcept {
    for (const Matrix* matrix : {&layer.w13, &layer.w2}) {
        if (const char* reason = refuse_matrix(*matrix)) return reason;
    }
    if (layer.w13.bits != layer.w2.bits) return "both GEMMs must have the same bits";
    const int32_t outputs = layer.intermediate_size * (layer.gated ? 2 : 1);
    if (layer.w13.outputs != outputs || layer.intermediate_size % 64 != 0) {
        return "the intermediate size must be a multiple of 64 that fits the first GEMM";
    }
    if (layer.w13.inputs < layer.hidden_size || layer.w2.outputs < layer.hidden_size) {
        return "the padded hidden size is smaller than the hidden size";
    }
    const Problem widest = {.device = device,
                            .compute_type = compute_type(hidden_type),
                            .bits = layer.w13.bits,
                            .mean_tokens = INT32_MAX,
                            .ordered_inputs = layer.ordered_inputs,
                            .counted_tokens = true,
                            .slots = INT32_MAX,
                            .scale_type = layer.w13.scale_type};
    return choose(widest) != nullptr ? nullptr : "no kernel of this build runs on the device";
}

size_t workspace_bytes(const Layer& layer, int64_t max_tokens, int32_t max_top_k) noexcept {
    return divide(layer, max_tokens, max_top_k).total;
}

int run_layer_with(const Row& row, const Device& device, const Layer& layer, const Run& run,
                   void* workspace, void* stream) noexcept {
    if (run.tokens == 0) return cudaSuccess;
    const Steps steps = {device,
                         layer,
                         run,
                         row,
                         static_cast<uint8_t*>(workspace),
                         divide(layer, run.tokens, run.top_k),
                         stream};
    if (row.layer_kernel != nullptr && run.top_k != 0) return decode(steps);
    const int status = run.top_k != 0 ? compute_slots(steps) : cudaSuccess;
    return status == cudaSuccess ? combine(steps) : status;
}

int run_layer(const Device& device, const Layer& layer, const Run& run, void* workspace,
              void* stream) noexcept {
    if (run.tokens == 0) return cudaSuccess;  // which rows may refuse to serve
    const Row* row = choose(describe(device, layer, run));
    if (row == nullptr) return cudaErrorNoKernelImageForDevice;
    return run_layer_with(*row, device, layer, run, workspace, stream);
}

}  // namespace mmoe::cuda
