// SPDX-License-Identifier: Apache-2.0
// What lib/exec sees of the CUDA kernels: one call enqueues a whole MoE layer on a stream.
//
// Order of work on the stream, unless one kernel does all but the staging (decode.h):
//   route     expert ids become one list of slots an expert, stable, and a list of tiles
//   stage     (only where needed) hidden states become 16-bit, padded rows; with activation order
//             one row a slot, gathered as its expert wants it
//   gemm 1    gate and up (or up alone), bias, activation -> intermediate [slots, I]
//   gemm 2    down, bias                                  -> slot results [slots, H]
//   combine   weighted sum over the slots of a token, in index order -> output [T, H]
//
// Nothing here allocates, waits or reads the device from the host; a run can be captured in a
// graph. Counts per expert are known to the device alone. Same inputs give the same bits.
// CUDA types are spelt as void* and int, so that this header needs no toolkit: a stream is a
// cudaStream_t, a result a cudaError_t (0: fine).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "layout/marlin.h"
#include "layout/number.h"

namespace mmoe::cuda {

enum class Element : int32_t { kF32 = 1, kF16 = 2, kBf16 = 3 };  // values of mmoe_dtype
enum class Activation : int32_t { kSilu = 0, kGelu = 1, kGeluTanh = 2, kRelu2 = 3, kNone = 4 };

// The weights of one GEMM for all experts of a bundle: Marlin tiles of 16 inputs by 64 outputs in
// any order, scales and zero points in Marlin order. Device memory, 16-byte aligned throughout.
struct Matrix {
    int32_t bits = 4;        // 4 or 8
    int32_t inputs = 0;      // K, padded to a multiple of 16 and of group_size
    int32_t outputs = 0;     // N, padded to a multiple of 64; a gated pair: gate and up together
    int32_t group_size = 0;  // a multiple of 16; K if there is one scale a channel
    layout::ScaleType scale_type = layout::ScaleType::kBf16;
    layout::MarlinScaleOrder scale_order = layout::MarlinScaleOrder::kGrouped;

    const void* codes = nullptr;        // [E] experts of tiles
    int64_t expert_stride_bytes = 0;    // from one expert's codes to the next
    int64_t tile_row_stride_bytes = 0;  // from inputs k to k + 16
    int64_t tile_stride_bytes = 0;      // from outputs n to n + 64

    const void* scales = nullptr;           // [E, groups, N] in scale_type and scale_order
    const uint32_t* zero_points = nullptr;  // [E, groups, N * bits / 32]; null: symmetric
    const float* bias = nullptr;            // [E, N] in plain order, padded with 0; or null

    [[nodiscard]] constexpr int32_t groups() const noexcept { return inputs / group_size; }
};

// One MoE layer of a bundle.
struct Layer {
    int32_t expert_count = 0;  // E of the bundle
    // [global_expert_count] expert of the bundle for each global one, -1: not here; or null:
    // those from first_expert on.
    const int32_t* slot_map = nullptr;
    int32_t first_expert = 0;         // global number of its first expert
    int32_t global_expert_count = 0;  // of the whole layer; ids from here on are out of range
    int32_t hidden_size = 0;          // H, without padding
    int32_t intermediate_size = 0;    // I, padded: w13 has 2 I outputs if gated, else I
    bool gated = true;
    bool router_weight_on_input = false;
    Activation activation = Activation::kSilu;
    float alpha = 1.0F;
    float beta = 0.0F;
    float limit = 0.0F;           // infinity where nothing is clamped
    Matrix w13;                   // [H -> gate and up]
    Matrix w2;                    // [I -> H]; inputs at most intermediate_size
    bool ordered_inputs = false;  // activation order: each expert has its own order of inputs,
    const int32_t* hidden_order = nullptr;  // [E, w13.inputs] column of each input; -1: zero
};

// Operands of a run, device memory.
struct Run {
    int64_t tokens = 0;                    // T
    const int32_t* token_count = nullptr;  // [1] tokens of this run, 0 to T; or null: all.
                                           // Rows of the output from there on are left alone
    int32_t top_k = 0;
    Element hidden_type = Element::kBf16;
    Element output_type = Element::kBf16;
    const void* hidden = nullptr;  // [T, H], rows hidden_stride elements apart
    int64_t hidden_stride = 0;
    const int32_t* expert_ids = nullptr;    // [T, top_k]
    const float* expert_weights = nullptr;  // [T, top_k]
    const int32_t* expert_map = nullptr;    // [map_size], or null: ids are global experts
    int64_t map_size = 0;
    void* output = nullptr;  // [T, H], rows output_stride elements apart
    int64_t output_stride = 0;
    int32_t* skipped = nullptr;  // or null: set to 1, never cleared, if an id was out of range
};

struct Device {
    int32_t processor_count = 0;      // multiprocessors
    int32_t compute_capability = 0;   // 10 * major + minor
    int32_t shared_memory_bytes = 0;  // most that one block may ask for
    uint64_t distrusted_rows = 0;     // bit i: rows()[i] has no code or failed its self-test
};

// What a row is chosen by: facts that the host knows before the run.
struct Problem {
    Device device;
    Element compute_type = Element::kBf16;  // bf16 or f16: what the tensor cores multiply
    int32_t bits = 4;
    int32_t mean_tokens = 0;      // of one expert, rounded up
    bool ordered_inputs = false;  // hidden states come as one gathered row a slot
    bool counted_tokens = false;  // the device alone knows how many tokens there are
    int64_t tokens = 0;           // of the run, at most
    int64_t slots = 0;            // tokens * top_k
    int32_t expert_count = 0;
    int32_t group_sizes[2] = {};  // of the two GEMMs; 0: one scale a channel
    layout::ScaleType scale_type = layout::ScaleType::kBf16;
    bool strips = false;            // tiles of the same outputs follow each other, in both GEMMs
    int32_t input_step = 0;         // divides every K
    int32_t group_step = 0;         // divides every group
    int32_t hidden_outputs = 0;     // N of GEMM 2
    int32_t hidden_inputs = 0;      // K of GEMM 1
    int32_t intermediate_size = 0;  // I, padded
    int64_t weight_tiles = 0;       // of 64 outputs by K, of all experts with slots, smaller GEMM
};

struct GemmArgs;    // gemm_args.h
struct DecodeArgs;  // decode.h

// One way to multiply. A row serves both GEMMs of a layer: one launch each of `kernel`, or one
// launch of `layer_kernel` for routing, both GEMMs and the combine together.
struct Row {
    const char* name;  // op.activation.weight.tile.target
    // Null if the row can serve the problem, else a static sentence that says why not.
    const char* (*refuse)(const Problem& problem);
    int32_t least_mean_tokens, most_mean_tokens;  // of an expert: where it is worth while
    bool fills_device = false;  // passed over where it has fewer blocks than the device processors
    int32_t first_capability, last_capability;  // devices that this build has its code for
    int32_t tile_tokens;                        // slots of one tile
    int32_t block_tiles;                        // n64 tiles of one block; gate and up together
    int32_t threads;                            // of a block
    int32_t shared_bytes;                       // dynamic shared memory of a block
    int32_t blocks_per_processor;               // that its registers allow
    bool rounds_weights;                        // to 16 bits, after scaling; else they are exact
    void (*gated_kernel)(GemmArgs);             // of a first GEMM with gate and up
    void (*kernel)(GemmArgs);
    void (*layer_kernel)(DecodeArgs) = nullptr;
};

// Every row of this build, best first.
std::span<const Row> rows() noexcept;
// Null if the row serves the problem on this device and is meant for its tokens, else why not.
const char* passed_over(const Row& row, const Problem& problem) noexcept;
// The best row for the problem, or null.
const Row* choose(const Problem& problem) noexcept;
// What run_layer() will choose by.
Problem describe(const Device& device, const Layer& layer, const Run& run) noexcept;

// Why a layer cannot run with these types on this device, or null.
const char* refuse(const Device& device, const Layer& layer, Element hidden_type,
                   Element output_type) noexcept;

// Bytes of the workspace that serves up to `max_tokens` tokens of such a layer.
size_t workspace_bytes(const Layer& layer, int64_t max_tokens, int32_t max_top_k) noexcept;

// Loads the kernels on the current device and lets them use their shared memory: the warm-up before
// a capture. Call once a device and context. Rows that are distrusted already are passed over;
// rows that this build has no code for become so.
int prepare(uint64_t& distrusted_rows) noexcept;

// Enqueues the layer. `workspace` is 256-byte aligned, zeroed once when it was allocated, and
// serves one run at a time. T = 0 does nothing.
int run_layer(const Device& device, const Layer& layer, const Run& run, void* workspace,
              void* stream) noexcept;
// The same with a given row, whatever it was meant for.
int run_layer_with(const Row& row, const Device& device, const Layer& layer, const Run& run,
                   void* workspace, void* stream) noexcept;

}  // namespace mmoe::cuda
