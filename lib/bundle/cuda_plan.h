// SPDX-License-Identifier: Apache-2.0
// Where everything of a bundle lies in device memory: offsets from shapes alone. Every part is
// one array over slots, as the kernels want it; a saved slot holds its share of each, one after
// another in the order of CudaBundlePlan::parts().
#pragma once

#include <array>
#include <cstdint>

#include "bundle/spec.h"
#include "repack/marlin.h"

namespace mmoe {

// Bytes.
struct CudaPart {
    uint64_t offset = 0;          // of the array in device memory
    uint64_t slot_bytes = 0;      // from one slot's share to the next; 0: there is no such part
    uint64_t offset_in_slot = 0;  // of a slot's share in a saved slot
};

struct CudaMatrixPlan {
    MarlinShape shape;
    CudaPart codes;        // [slots, N/64, K/16] Marlin tiles
    CudaPart scales;       // [slots, groups, N]
    CudaPart zero_points;  // [slots, groups, N * bits / 32]; asymmetric only
    CudaPart bias;         // [slots, N] fp32; only with biases
};

struct CudaBundlePlan {
    MarlinLayerPlan layer;
    CudaMatrixPlan w13;
    CudaMatrixPlan w2;
    CudaPart hidden_order;  // [slots, w13 inputs] i32, -1 in padding; activation order only
    uint64_t slot_map = 0;  // offset of [E] i32
    uint64_t total_bytes = 0;
    uint64_t slot_bytes = 0;  // of a saved slot
    int64_t slot_count = 0;
    bool asymmetric = false;
    bool bias = false;
    bool ordered_inputs = false;

    [[nodiscard]] std::array<CudaPart, 9> parts() const noexcept {
        return {w13.codes, w13.scales,     w13.zero_points, w13.bias,    w2.codes,
                w2.scales, w2.zero_points, w2.bias,         hidden_order};
    }
};

// `spec` is supported; an absent scale type is bf16.
[[nodiscard]] CudaBundlePlan plan_cuda_bundle(const BundleSpec& spec, const Shard& shard) noexcept;

// Tiles of a matrix from the device's order, [N/64][K/16], to the one of repack/marlin.h,
// [K/16][N/64].
void tiles_by_row(const MarlinShape& shape, const uint8_t* by_column, uint8_t* out) noexcept;

[[nodiscard]] constexpr int64_t marlin_tile_bytes(const MarlinShape& shape) noexcept {
    return 4 * int64_t{layout::marlin_tile_words(shape.bits)};
}

}  // namespace mmoe
