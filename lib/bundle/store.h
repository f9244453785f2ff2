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

    [[nodiscard]] virtual uint64_t resident_bytes() const noexcept = 0;
};

}  // namespace mmoe
