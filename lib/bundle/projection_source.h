// SPDX-License-Identifier: Apache-2.0
// Where the outputs of one projection come from: a checkpoint that is read a part at a time, or
// tensors in the caller's memory.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory.h"
#include "base/status.h"
#include "bundle/spec.h"
#include "unpack/unpack.h"

namespace mmoe {

class ProjectionSource {
  public:
    virtual ~ProjectionSource() = default;
    // Outputs [first, first + rows) of the whole projection, checked. Strips of the result count
    // from 0. Codes in any form only where `first` is a multiple of 64, and `rows` is, too, or
    // ends the projection: packers of such codes write whole blocks.
    virtual Result<std::unique_ptr<Unpacker>> outputs(int64_t first, int64_t rows,
                                                      CodeForm form) = 0;
};

// Checked tensors in memory; they and `spec` must outlive the source. Strips are at most `max_rows`
// long.
class MemoryProjection final : public ProjectionSource {
  public:
    MemoryProjection(const BundleSpec& spec, Projection projection,
                     const ProjectionTensors& tensors, int64_t max_rows,
                     std::shared_ptr<const Allocator> allocator)
        : spec_(spec),
          projection_(projection),
          tensors_(tensors),
          max_rows_(max_rows),
          allocator_(std::move(allocator)) {}
    Result<std::unique_ptr<Unpacker>> outputs(int64_t first, int64_t rows, CodeForm form) override;

  private:
    const BundleSpec& spec_;
    Projection projection_;
    ProjectionTensors tensors_;
    int64_t max_rows_;
    std::shared_ptr<const Allocator> allocator_;
};

}  // namespace mmoe
