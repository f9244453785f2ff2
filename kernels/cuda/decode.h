// SPDX-License-Identifier: Apache-2.0
// The decode family: a whole layer of few tokens in one launch, at the speed of memory.
//
// Blocks stay on their processors and stream weights without a pause, from the first item of
// GEMM 1 to the last of GEMM 2. In order of work, every block
//   sorts the slots by expert                                        decode_route.h
//   claims items (expert tile, 128 outputs, a part of K) in order    decode_queue.h
//   streams their weights through rings in shared memory             decode_ring.h
//   multiplies, each warp its part of K                              decode_multiply.h
//   adds up the warps, stores the intermediate or the results        decode_finish.h
//   waits for all results and adds its share of the outputs          decode_combine.h
//
// Warps have roles, and no step of one waits for all the others:
//   workers     kDecodeWarps: stream and multiply, unit after unit, over the borders of items
//   finishers   2: add up and publish an item while the workers are at the next one
//   claimer     1: claims items before they are needed
//   watcher     1: sees when an intermediate is complete
//
// A block waits only for items that running blocks have claimed, and those of GEMM 1 wait for
// nothing: the kernel ends however many blocks run at a time. Which block computes an item
// changes no bit of it. One token has a kernel of its own: decode_one.h.
#pragma once

#include <cstdint>

#include "cuda/activation.h"
#include "cuda/launch.h"

namespace mmoe::cuda {

constexpr int kDecodeSlots = 1024;  // most slots of a run
constexpr int kDecodeWarps = 8;     // that multiply
constexpr int kDecodeDepth = 2;     // units of a warp's ring
constexpr int kDecodeWorkers = 32 * kDecodeWarps;
constexpr int kDecodeFinishers = 64;
constexpr int kDecodeThreads = kDecodeWorkers + kDecodeFinishers + 64;

// How scales and zero points lie in a unit.
struct DecodeScaleForm {
    bool bf16;    // else f16
    bool single;  // MarlinScaleOrder::kSingle
    bool symmetric;
};

// quotient(n, quotient_factor(d)) == n / d for n < 1024: rounding the factor up adds less than
// d / 2^20 to each unit of n, together less than 1 / d.
[[nodiscard]] constexpr uint32_t quotient_factor(uint32_t divisor) noexcept {
    return ((1u << 20) + divisor - 1) / divisor;
}
[[nodiscard]] constexpr uint32_t quotient(uint32_t number, uint32_t factor) noexcept {
    return (number * factor) >> 20;
}

// What blocks tell each other. Sets alternate: a run uses one and clears the other. Claims go on
// counting from run to run; every block claims until its first one beyond the last item.
struct DecodeCounters {
    struct Set {
        int32_t finished;             // items of GEMM 2
        int32_t ready[kDecodeSlots];  // items of GEMM 1, by expert tile
    };
    uint32_t claimed;  // items
    uint32_t first;    // claim of this run
    int32_t run;       // its lowest bit is the set in use
    int32_t arrived;   // blocks that have read `first` and `run`
    Set sets[2];
};

// One GEMM, cut into items.
struct DecodeGemm {
    Matrix matrix;
    int32_t column_blocks;    // of two n64 tiles each
    int32_t splits;           // parts of K
    int32_t split_units;      // units of one part
    int32_t units;            // of K, the last one maybe not whole
    int32_t whole_units;      // of Marlin tiles one after the other in memory
    int32_t unit_groups;      // scales of an output in one unit
    uint32_t group_factor;    // quotient_factor() of the units that share a scale
    int32_t groups;           // of K
    uint32_t unit_factor;     // quotient_factor() of `units`
    int32_t scale_row_bytes;  // from one group's scales to the next
    int32_t zero_row_bytes;   // and zero points
    DecodeScaleForm scale_form;
};

struct DecodeOneState;  // decode_one.h

struct DecodeArgs {
    DecodeGemm gemm[2];

    const int32_t* expert_ids;  // [slots]
    const int32_t* expert_map;  // [map_size] or null
    int64_t map_size;
    const int32_t* slot_map;  // [global_expert_count], or null: first_expert counts
    int32_t first_expert;
    int32_t global_expert_count;
    int32_t expert_count;
    int32_t slot_count;
    int32_t top_k;
    uint32_t token_factor;  // quotient_factor() of top_k
    int32_t* skipped;       // or null

    ActivationArgs activation;
    bool gated;
    bool router_weight_on_input;
    const float* router_weights;  // [slots]

    const void* x;  // 16-bit [T, x_columns], rows x_stride elements apart, 4-byte aligned
    int64_t x_stride;
    int32_t x_columns;

    uint16_t* intermediate;  // [rows, intermediate_stride], columns in permuted_column() order
    int64_t intermediate_stride;
    float* results;  // [rows, splits, outputs of GEMM 2]
    DecodeCounters* counters;
    DecodeOneState* one;  // zero at first, kept from run to run
    int32_t one_splits;   // parts of the slots in GEMM 2: 1 or 2

    void* output;  // [T, columns], rows output_stride elements apart
    Element output_type;
    int64_t output_stride;
    int32_t columns;
    int32_t tokens;
    int32_t ring_unit_bytes;
};

// The intermediate's order inside blocks of 32 columns: what a lane of an MMA needs in two steps
// is 16 contiguous bytes. Pairs (k, k + 1) stay pairs.
[[nodiscard]] constexpr int32_t permuted_column(int32_t column) noexcept {
    const int32_t inside = column % 32;
    const int32_t step = inside / 16;
    const int32_t upper = inside % 16 / 8;
    const int32_t lane = inside % 8 / 2;
    return column - inside + 8 * lane + 4 * step + 2 * upper + inside % 2;
}

}  // namespace mmoe::cuda
