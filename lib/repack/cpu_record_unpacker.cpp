// SPDX-License-Identifier: Apache-2.0
#include "repack/cpu_record_unpacker.h"

#include <cinttypes>
#include <cstddef>

#include "repack/cpu_records.h"
#include "unpack/row_memory.h"

namespace mmoe {

namespace {

class RecordUnpacker final : public Unpacker {
  public:
    RecordUnpacker(const layout::CpuRecordPlan& plan, std::span<const uint8_t> records, bool up,
                   RowMemory memory)
        : plan_(plan), records_(records), up_(up), memory_(std::move(memory)) {}

    Canonical strip(int64_t first_row, int64_t rows) override {
        const auto words = static_cast<size_t>(rows * memory_.shape().words_per_row());
        const auto groups = static_cast<size_t>(rows * memory_.shape().groups());
        unpack_cpu_records(plan_, records_, up_, first_row, rows, {memory_.codes(0), words},
                           {memory_.scales(0), groups},
                           {memory_.zero_points(0), plan_.asymmetric ? groups : 0});
        return memory_.view(0, rows);
    }

  private:
    layout::CpuRecordPlan plan_;
    std::span<const uint8_t> records_;
    bool up_;
    RowMemory memory_;  // of one strip
};

}  // namespace

Result<std::unique_ptr<Unpacker>> unpack_records(const layout::CpuRecordPlan& plan,
                                                 std::span<const uint8_t> records, bool up,
                                                 int64_t max_rows,
                                                 std::shared_ptr<const Allocator> allocator) {
    if (records.size() != static_cast<size_t>(plan.matrix_bytes())) {
        return Status::error(Code::kShape, "CPU records: expected %" PRId64 " bytes, got %zu",
                             plan.matrix_bytes(), records.size());
    }
    Canonical strip;
    strip.columns = plan.inputs;
    strip.group_size = plan.group_size;
    strip.bits = plan.bits;
    strip.scale_type = plan.scale_type;
    const RowMemory::Pieces pieces{.zero_points = plan.asymmetric};
    TRY(RowMemory memory, RowMemory::create(strip, pieces, max_rows, std::move(allocator)));
    return std::unique_ptr<Unpacker>(
        std::make_unique<RecordUnpacker>(plan, records, up, std::move(memory)));
}

}  // namespace mmoe
