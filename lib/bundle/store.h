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

class Store {
  public:
    virtual ~Store() = default;

    // Repacks checked tensors into a slot. Different slots may be written from several threads.
    virtual Status put(int64_t slot, Projection projection, const ProjectionTensors& tensors) = 0;
    // `bias`: [N] fp32.
    virtual Status put_bias(int64_t slot, Projection projection, std::span<const float> bias) = 0;

    [[nodiscard]] virtual uint64_t resident_bytes() const noexcept = 0;
};

}  // namespace mmoe
