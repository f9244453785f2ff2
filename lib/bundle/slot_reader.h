// SPDX-License-Identifier: Apache-2.0
// One expert as this rank holds it, read from whatever layout: a slot's bytes, or Marlin matrices.
// From here it goes into a store.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/spec.h"
#include "bundle/store.h"
#include "unpack/unpack.h"

namespace mmoe {

class SlotReader {
  public:
    static constexpr int64_t kStripRows = 128;  // most rows of a strip

    virtual ~SlotReader() = default;
    virtual Result<std::unique_ptr<Unpacker>> rows(Projection projection) const = 0;
    // Of output `output` of this rank.
    [[nodiscard]] virtual float bias(Projection projection, int64_t output) const = 0;
    // [H]: the hidden element that comes to each input of gate and up; empty without activation
    // order.
    [[nodiscard]] virtual std::span<const int32_t> order() const noexcept = 0;
    // The rank's intermediate channel that comes to each input of down, where gate and up do not
    // follow it yet; empty where they do.
    [[nodiscard]] virtual std::span<const int32_t> channels() const noexcept { return {}; }
};

// Outputs of a projection that a rank holds.
[[nodiscard]] int64_t rank_outputs(const BundleSpec& spec, const Shard& shard,
                                   Projection projection) noexcept;

// Repacks the expert into a slot of a store.
Status put_slot(const SlotReader& reader, const BundleSpec& spec, const Shard& shard, int64_t slot,
                Store& store, const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
