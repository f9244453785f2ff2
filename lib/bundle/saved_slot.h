// SPDX-License-Identifier: Apache-2.0
// The bytes of one expert as a saved bundle holds them. There is one arrangement a kind of device;
// an expert of one can be put into a store of the other, through the canonical form.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/slot_reader.h"
#include "bundle/spec.h"
#include "bundle/store.h"

namespace mmoe {

// Of a layout that some version writes.
[[nodiscard]] bool is_saved_layout(uint32_t layout) noexcept;

// Whose expert it is.
struct SavedSlot {
    const BundleSpec& spec;
    const Shard& shard;
    SavedLayout layout;
    int64_t slot;
};

[[nodiscard]] uint64_t saved_slot_bytes(const BundleSpec& spec, const Shard& shard,
                                        SavedLayout layout) noexcept;

// Proves that bytes from a file move hidden elements that there are.
Status check_saved_slot(const SavedSlot& saved, std::span<const uint8_t> bytes);

// The bytes must outlive the reader.
Result<std::unique_ptr<SlotReader>> open_slot(const SavedSlot& saved,
                                              std::span<const uint8_t> bytes,
                                              const std::shared_ptr<const Allocator>& allocator);

// Repacks the bytes into the same slot of a store of another layout.
Status convert_saved_slot(const SavedSlot& saved, std::span<const uint8_t> bytes, Store& store,
                          const std::shared_ptr<const Allocator>& allocator);

}  // namespace mmoe
