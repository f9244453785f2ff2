// SPDX-License-Identifier: Apache-2.0
#include "bundle/put_projection.h"

#include <algorithm>
#include <optional>

#include "repack/slice.h"

namespace mmoe {
namespace {

class BandMaker {
  public:
    BandMaker(const ProjectionPlace& place, ProjectionSource& source, const ScratchPlan& scratch,
              CodeForm form, const std::shared_ptr<const Allocator>& allocator)
        : place_(place),
          source_(source),
          form_(form),
          allocator_(allocator),
          outputs_(place.spec.layer.outputs(place.projection)),
          band_rows_(scratch.band_rows(place.projection)),
          strip_rows_(scratch.strip_rows(place.projection)) {}

    // Rows [first, first + rows) of what this rank holds.
    Result<std::unique_ptr<Unpacker>> band(int64_t first, int64_t rows) {
        const Slice& slice = place_.shard.slice;
        if (place_.projection == Projection::kDown) return columns_of_slice(first, rows);
        if (place_.channels.empty()) {
            // Packers take whole blocks from the file, with outputs that are not of this slice.
            const int64_t begin = slice.first + first;
            const bool whole = begin % kOutputUnit == 0 && rows % kOutputUnit == 0;
            return source_.outputs(begin, rows, whole ? form_ : CodeForm::kCanonical);
        }
        return gathered(place_.channels.subspan(static_cast<size_t>(slice.first + first),
                                                static_cast<size_t>(rows)));
    }

  private:
    Result<std::unique_ptr<Unpacker>> columns_of_slice(int64_t first, int64_t rows) {
        const Slice& slice = place_.shard.slice;
        if (slice.size == place_.spec.layer.intermediate_size) {
            return source_.outputs(first, rows, form_);
        }
        TRY(std::unique_ptr<Unpacker> whole, source_.outputs(first, rows, CodeForm::kCanonical));
        return slice_inputs(std::move(whole), slice, std::min(strip_rows_, rows), allocator_);
    }

    // The channels may lie anywhere: the whole source passes by.
    Result<std::unique_ptr<Unpacker>> gathered(std::span<const int32_t> channels) {
        std::optional<OutputGather> gather;
        for (int64_t first = 0; first < outputs_; first += band_rows_) {
            const int64_t rows = std::min(band_rows_, outputs_ - first);
            TRY(const std::unique_ptr<Unpacker> part,
                source_.outputs(first, rows, CodeForm::kCanonical));
            if (!gather) {
                TRY(gather,
                    OutputGather::create(part->strip(0, 1), outputs_, channels, allocator_));
            }
            for (int64_t row = 0; row < rows; row += strip_rows_) {
                gather->add(part->strip(row, std::min(strip_rows_, rows - row)), first + row);
            }
        }
        return std::move(*gather).finish();
    }

    const ProjectionPlace& place_;
    ProjectionSource& source_;
    CodeForm form_;
    const std::shared_ptr<const Allocator>& allocator_;
    int64_t outputs_;
    int64_t band_rows_;
    int64_t strip_rows_;
};

}  // namespace

Status put_projection(Store& store, const ProjectionPlace& place, ProjectionSource& source,
                      const ScratchPlan& scratch,
                      const std::shared_ptr<const Allocator>& allocator) {
    const bool down = place.projection == Projection::kDown;
    const int64_t size = down ? place.spec.layer.hidden_size : place.shard.slice.size;
    const int64_t band_rows = scratch.band_rows(place.projection);
    BandMaker bands(place, source, scratch, store.code_form(), allocator);
    for (int64_t row = 0; row < size; row += band_rows) {
        const int64_t rows = std::min(band_rows, size - row);
        TRY(const std::unique_ptr<Unpacker> band, bands.band(row, rows));
        TRY(store.put({place.slot, place.projection, row, rows, *band,
                       scratch.strip_rows(place.projection)}));
    }
    return {};
}

}  // namespace mmoe
