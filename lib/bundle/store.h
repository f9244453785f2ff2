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

// A band of outputs of one projection of one expert, as this rank holds them. Every output comes
// once, bands in rising order.
struct StoreEntry {
    int64_t slot = 0;
    Projection projection = Projection::kUp;
    int64_t first_row = 0;   // of the rank's outputs; a multiple of 64
    int64_t rows = 0;        // likewise, unless they are the last
    Unpacker& source;        // strips count from 0
    int64_t strip_rows = 0;  // most rows of a strip: a multiple of 64
};

// How the bytes of a slot lie in a saved bundle. An id names one exact arrangement: a change of
// layout/cpu_record.h or bundle/cpu_plan.h, or of bundle/cuda_plan.h and what the repacker writes,
// takes a new one.
enum class SavedLayout : uint32_t { kCpuRecords = 1, kCudaTiles = 2 };

class Store {
  public:
    virtual ~Store() = default;

    // What the strips that it is given may hold as codes.
    [[nodiscard]] virtual CodeForm code_form() const noexcept { return CodeForm::kCanonical; }
    // Repacks a band into its slot. Different slots may be written from several threads.
    virtual Status put(const StoreEntry& entry) = 0;
    // `bias`: [N] fp32, whole. `channels`: as in ProjectionPlace.
    virtual Status put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                            std::span<const int32_t> channels) = 0;

    // Empties a slot that another expert will take; no run is using it any more.
    virtual Status clear(int64_t slot) = 0;
    // `slots`: [E] slot of each global expert, or -1. From now on runs go by it.
    virtual Status publish(std::span<const int32_t> slots) = 0;

    // No more is put for now: scratch that was kept between calls goes.
    virtual void end_filling() noexcept {}

    [[nodiscard]] virtual SavedLayout saved_layout() const noexcept = 0;
    // All bytes of a slot, saved_slot_bytes() of its layout, out of the store or into it.
    virtual Status read_slot(int64_t slot, std::span<uint8_t> out) const = 0;
    virtual Status write_slot(int64_t slot, std::span<const uint8_t> bytes) = 0;
    // Where they are, if that is host memory: no copy is needed. Else empty.
    [[nodiscard]] virtual std::span<uint8_t> slot_bytes(int64_t slot) const noexcept = 0;

    [[nodiscard]] virtual uint64_t resident_bytes() const noexcept = 0;
};

}  // namespace mmoe
