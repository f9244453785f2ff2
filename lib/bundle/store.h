// SPDX-License-Identifier: Apache-2.0
// Where repacked weights live: one slot an expert, on one kind of device. A bundle decides which
// expert goes to which slot; a store knows layouts and memory.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "checkpoint/layer.h"
#include "unpack/unpack.h"

namespace mmoe {

// One projection of one expert, whole: the store takes its slice.
struct StoreEntry {
    int64_t slot = 0;
    Projection projection = Projection::kUp;
    ProjectionTensors tensors;  // checked
    // Activation order of the expert's down projection, which gate and up rows follow: the
    // intermediate channel that comes to each place. Empty: as in the file.
    std::span<const int32_t> channels;
};

class Store {
  public:
    virtual ~Store() = default;

    // Repacks a projection into its slot. Different slots may be written from several threads.
    virtual Status put(const StoreEntry& entry) = 0;
    // `bias`: [N] fp32, whole.
    virtual Status put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                            std::span<const int32_t> channels) = 0;

    // Empties a slot that another expert will take; no run is using it any more.
    virtual Status clear(int64_t slot) = 0;
    // `slots`: [E] slot of each global expert, or -1. From now on runs go by it.
    virtual Status publish(std::span<const int32_t> slots) = 0;

    [[nodiscard]] virtual uint64_t resident_bytes() const noexcept = 0;
};

}  // namespace mmoe
