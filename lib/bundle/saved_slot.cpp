// SPDX-License-Identifier: Apache-2.0
// A slot's bytes are opened by a class of their layout: projections as unpackers, biases and the
// order of hidden states as they are.
#include "bundle/saved_slot.h"

#include "bundle/cpu_plan.h"
#include "bundle/cuda_plan.h"
#include "repack/cpu_record_unpacker.h"

namespace mmoe {
namespace {

// [H]: the hidden element that comes to each input; empty without activation order.
std::span<const int32_t> order_of(const SavedSlot& saved, std::span<const uint8_t> bytes) noexcept {
    if (saved.spec.config.order != Order::kGroup) return {};
    const uint64_t offset =
        saved.layout == SavedLayout::kCudaTiles
            ? plan_cuda_bundle(saved.spec, saved.shard).hidden_order.offset_in_slot
            : static_cast<uint64_t>(plan_cpu_bundle(saved.spec, saved.shard).order_offset_bytes());
    return {reinterpret_cast<const int32_t*>(bytes.data() + offset),
            static_cast<size_t>(saved.spec.layer.hidden_size)};
}

class RecordSlot final : public SlotReader {
  public:
    RecordSlot(const SavedSlot& saved, std::span<const uint8_t> bytes,
               std::shared_ptr<const Allocator> allocator)
        : plan_(plan_cpu_bundle(saved.spec, saved.shard)),
          bytes_(bytes),
          order_(order_of(saved, bytes)),
          allocator_(std::move(allocator)) {}

    Result<std::unique_ptr<Unpacker>> rows(Projection projection) const override {
        const bool down = projection == Projection::kDown;
        const layout::CpuRecordPlan& plan = down ? plan_.down : plan_.gate_up;
        const auto offset = static_cast<size_t>(down ? plan_.down_offset_bytes() : 0);
        return unpack_records(plan,
                              bytes_.subspan(offset, static_cast<size_t>(plan.matrix_bytes())),
                              is_second(projection), kStripRows, allocator_);
    }
    [[nodiscard]] float bias(Projection projection, int64_t output) const override {
        const bool down = projection == Projection::kDown;
        const int64_t offset =
            down ? plan_.down_bias_offset_bytes() : plan_.gate_up_bias_offset_bytes();
        const auto* lanes = reinterpret_cast<const float*>(bytes_.data() + offset);
        const layout::CpuLane lane =
            layout::cpu_lane(down ? plan_.down : plan_.gate_up, output, is_second(projection));
        return lanes[lane.block * layout::kLanes + lane.lane];
    }
    [[nodiscard]] std::span<const int32_t> order() const noexcept override { return order_; }

  private:
    [[nodiscard]] bool is_second(Projection projection) const noexcept {
        return plan_.gate_up.gated_pair && projection == Projection::kUp;
    }
    CpuBundlePlan plan_;
    std::span<const uint8_t> bytes_;
    std::span<const int32_t> order_;
    std::shared_ptr<const Allocator> allocator_;
};

class TileSlot final : public SlotReader {
  public:
    static Result<std::unique_ptr<SlotReader>> open(
        const SavedSlot& saved, std::span<const uint8_t> bytes,
        const std::shared_ptr<const Allocator>& memory) {
        std::unique_ptr<TileSlot> slot(new TileSlot(saved, bytes, memory));
        for (const bool down : {false, true}) {
            const CudaMatrixPlan& matrix = down ? slot->plan_.w2 : slot->plan_.w13;
            Buffer& turned = down ? slot->w2_ : slot->w13_;
            const auto size = static_cast<uint64_t>(4 * matrix.shape.weight_words());
            TRY(turned, Buffer::create(memory, size, "tiles of an expert"));
            tiles_by_row(matrix.shape, slot->part(matrix.codes).data(), turned.data());
        }
        return std::unique_ptr<SlotReader>(std::move(slot));
    }

    Result<std::unique_ptr<Unpacker>> rows(Projection projection) const override {
        const bool down = projection == Projection::kDown;
        const CudaMatrixPlan& matrix = down ? plan_.w2 : plan_.w13;
        const Buffer& codes = down ? w2_ : w13_;
        MarlinRows rows;
        rows.first_output = plan_.layer.first_output(projection, gated_);
        rows.rows = down ? hidden_size_ : slice_size_;
        rows.columns = down ? slice_size_ : hidden_size_;
        const auto words = [&](std::span<const uint8_t> data) {
            return std::span(reinterpret_cast<const uint32_t*>(data.data()), data.size() / 4);
        };
        const ConstMarlinTensors tensors = {
            words({codes.data(), codes.size_bytes()}), part(matrix.scales),
            words(plan_.asymmetric ? part(matrix.zero_points) : std::span<const uint8_t>())};
        return unpack_marlin(matrix.shape, std::move(rows), tensors, kStripRows, allocator_);
    }
    [[nodiscard]] float bias(Projection projection, int64_t output) const override {
        const CudaMatrixPlan& matrix = projection == Projection::kDown ? plan_.w2 : plan_.w13;
        const auto* biases = reinterpret_cast<const float*>(part(matrix.bias).data());
        return biases[plan_.layer.first_output(projection, gated_) + output];
    }
    [[nodiscard]] std::span<const int32_t> order() const noexcept override { return order_; }

  private:
    TileSlot(const SavedSlot& saved, std::span<const uint8_t> bytes,
             std::shared_ptr<const Allocator> allocator)
        : plan_(plan_cuda_bundle(saved.spec, saved.shard)),
          bytes_(bytes),
          order_(order_of(saved, bytes)),
          allocator_(std::move(allocator)),
          hidden_size_(saved.spec.layer.hidden_size),
          slice_size_(saved.shard.slice.size),
          gated_(saved.spec.layer.gated()) {}

    [[nodiscard]] std::span<const uint8_t> part(const CudaPart& part) const noexcept {
        return bytes_.subspan(part.offset_in_slot, part.slot_bytes);
    }

    CudaBundlePlan plan_;
    std::span<const uint8_t> bytes_;
    std::span<const int32_t> order_;
    std::shared_ptr<const Allocator> allocator_;
    int64_t hidden_size_, slice_size_;
    bool gated_;
    Buffer w13_, w2_;  // codes, row of tiles by row of tiles
};

}  // namespace

bool is_saved_layout(uint32_t layout) noexcept {
    return layout == static_cast<uint32_t>(SavedLayout::kCpuRecords) ||
           layout == static_cast<uint32_t>(SavedLayout::kCudaTiles);
}

uint64_t saved_slot_bytes(const BundleSpec& spec, const Shard& shard, SavedLayout layout) noexcept {
    return layout == SavedLayout::kCudaTiles
               ? plan_cuda_bundle(spec, shard).slot_bytes
               : static_cast<uint64_t>(plan_cpu_bundle(spec, shard).slot_bytes());
}

Status check_saved_slot(const SavedSlot& saved, std::span<const uint8_t> bytes) {
    const std::span<const int32_t> order = order_of(saved, bytes);
    const int64_t inputs = saved.spec.layer.hidden_size;
    for (size_t k = 0; k < order.size(); ++k) {
        if (order[k] >= 0 && order[k] < inputs) continue;
        return Status::error(Code::kBadData,
                             "expert %lld: input %zu: expected a hidden element from 0 to %lld, "
                             "got %d",
                             static_cast<long long>(saved.slot), k,
                             static_cast<long long>(inputs - 1), order[k]);
    }
    return {};
}

Result<std::unique_ptr<SlotReader>> open_slot(const SavedSlot& saved,
                                              std::span<const uint8_t> bytes,
                                              const std::shared_ptr<const Allocator>& allocator) {
    if (saved.layout == SavedLayout::kCudaTiles) return TileSlot::open(saved, bytes, allocator);
    return std::unique_ptr<SlotReader>(std::make_unique<RecordSlot>(saved, bytes, allocator));
}

Status convert_saved_slot(const SavedSlot& saved, std::span<const uint8_t> bytes, Store& store,
                          const std::shared_ptr<const Allocator>& allocator) {
    TRY(const std::unique_ptr<SlotReader> reader, open_slot(saved, bytes, allocator));
    return put_slot(*reader, saved.spec, saved.shard, saved.slot, store, allocator);
}

}  // namespace mmoe
