// SPDX-License-Identifier: Apache-2.0
// How much memory loading takes beside the bundle, from shapes alone. Experts are loaded side by
// side; each loader holds one band of outputs of one projection at a time, and unpacks it in
// strips.
#pragma once

#include <cstdint>

#include "bundle/spec.h"
#include "device/context.h"

namespace mmoe {

// Of all loaders together, unless a band of 64 outputs takes more.
inline constexpr uint64_t kMaxScratchBytes = uint64_t{64} << 20;

class ScratchPlan {
  public:
    // `spec` is supported. `expert_count` experts are to be loaded.
    ScratchPlan(const BundleSpec& spec, DeviceKind device, uint32_t thread_count,
                int64_t expert_count, uint64_t limit_bytes = kMaxScratchBytes) noexcept;

    [[nodiscard]] uint32_t loader_count() const noexcept { return loader_count_; }
    // Outputs read at a time: a multiple of 64.
    [[nodiscard]] int64_t band_rows(Projection projection) const noexcept {
        return need(projection).band_rows;
    }
    // Outputs unpacked at a time: a multiple of 64, few enough that their codes and scales stay in
    // the second-level cache between unpacking and repacking.
    [[nodiscard]] int64_t strip_rows(Projection projection) const noexcept {
        return need(projection).strip_rows;
    }
    // Of all loaders, at most.
    [[nodiscard]] uint64_t total_bytes() const noexcept;

  private:
    struct Need {
        int64_t outputs = 0;
        int64_t strip_rows = 0;
        int64_t band_rows = 0;
        uint64_t fixed_bytes = 0;       // beside a band
        uint64_t bytes_per_output = 0;  // of a band
        [[nodiscard]] uint64_t bytes(int64_t rows) const noexcept {
            return fixed_bytes + static_cast<uint64_t>(rows) * bytes_per_output;
        }
    };
    static Need plan(const BundleSpec& spec, DeviceKind device, Projection projection) noexcept;
    [[nodiscard]] const Need& need(Projection projection) const noexcept {
        return projection == Projection::kDown ? down_ : up_;
    }

    uint32_t loader_count_ = 1;
    Need up_;  // and gate
    Need down_;
};

}  // namespace mmoe
