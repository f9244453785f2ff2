// SPDX-License-Identifier: Apache-2.0
// How every store reads a projection: canonical strips, cut to this rank's slice.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory.h"
#include "bundle/spec.h"
#include "bundle/store.h"
#include "unpack/unpack.h"

namespace mmoe {

// Rows of one strip: a multiple of 64, few enough that the strip's codes and scales stay in the
// second-level cache between unpacking and repacking.
[[nodiscard]] int64_t strip_rows(int64_t inputs, int64_t groups, int bits) noexcept;

Result<std::unique_ptr<Unpacker>> unpack_entry(const BundleSpec& spec, const Shard& shard,
                                               const StoreEntry& entry, int64_t max_rows,
                                               const std::shared_ptr<const Allocator>& allocator,
                                               CodeForm form = CodeForm::kCanonical);

}  // namespace mmoe
