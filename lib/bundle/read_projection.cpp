// SPDX-License-Identifier: Apache-2.0
#include "bundle/read_projection.h"

#include <algorithm>

#include "base/checked.h"
#include "bundle/scratch_plan.h"
#include "repack/slice.h"

namespace mmoe {
namespace {

Status check_dequantize(const LayerEntry& entry, int64_t expert, Projection projection,
                        size_t weight_count) {
    if (!entry.problem.ok()) return entry.problem;
    const Layer& layer = entry.layer;
    if (expert >= layer.expert_count) {
        return Status::error(Code::kInvalidArgument, "expert: expected 0 to %lld, got %lld",
                             static_cast<long long>(layer.expert_count - 1),
                             static_cast<long long>(expert));
    }
    if (projection == Projection::kGate && !layer.gated()) {
        return Status::error(Code::kInvalidArgument, "projection: the layer has no gate");
    }
    const int64_t wanted = layer.outputs(projection) * layer.inputs(projection);
    if (weight_count != static_cast<uint64_t>(wanted)) {
        return Status::error(Code::kInvalidArgument, "weight_count: expected %lld, got %zu",
                             static_cast<long long>(wanted), weight_count);
    }
    return {};
}

void dequantize_strip(const Canonical& strip, float* weights) noexcept {
    for (int64_t row = 0; row < strip.rows; ++row) {
        for (int64_t column = 0; column < strip.columns; ++column) {
            const int64_t group = column / strip.group_size;
            const auto difference =
                static_cast<float>(static_cast<int32_t>(strip.code(row, column)) -
                                   static_cast<int32_t>(strip.zero_point(row, group)));
            const int64_t file_column =
                strip.order.empty() ? column : strip.order[static_cast<size_t>(column)];
            weights[row * strip.columns + file_column] = difference * strip.scale(row, group);
        }
    }
}

size_t role_index(Role role) noexcept {
    return static_cast<size_t>(role) - 1;
}

// As the file has it, without data.
TensorView header_of(const ExpertTensor& tensor) noexcept {
    TensorView view;
    view.dtype = tensor.entry->dtype;
    view.rank = tensor.rank;
    std::copy(std::begin(tensor.shape), std::end(tensor.shape), view.shape);
    return view;
}

// A part of one tensor in memory of its own.
struct LoadedTensor {
    Buffer data;
    TensorView view;
};

Result<LoadedTensor> read_part(const Checkpoint& checkpoint, const ExpertTensor& tensor,
                               const TensorPart& part,
                               const std::shared_ptr<const Allocator>& allocator) {
    LoadedTensor loaded;
    const uint64_t bytes =
        static_cast<uint64_t>(part.elements()) * dtype_bytes(tensor.entry->dtype);
    TRY(loaded.data, Buffer::create(allocator, bytes, "load scratch"));
    TRY(checkpoint.read(tensor, part, loaded.data.as<uint8_t>()));
    loaded.view = header_of(tensor);
    std::copy_n(part.count, loaded.view.rank, loaded.view.shape);
    loaded.view.data = loaded.data.data();
    return loaded;
}

// Keeps the tensors that its strips point into.
class LoadedUnpacker final : public Unpacker {
  public:
    LoadedUnpacker(std::vector<LoadedTensor> tensors, std::unique_ptr<Unpacker> unpacker)
        : tensors_(std::move(tensors)), unpacker_(std::move(unpacker)) {}
    [[nodiscard]] int64_t wide_rows() const noexcept override { return unpacker_->wide_rows(); }
    Canonical strip(int64_t first_row, int64_t rows) override {
        return unpacker_->strip(first_row, rows);
    }

  private:
    std::vector<LoadedTensor> tensors_;
    std::unique_ptr<Unpacker> unpacker_;
};

}  // namespace

Result<FileProjection> FileProjection::open(const Checkpoint& checkpoint, const LayerEntry& entry,
                                            int64_t expert, Projection projection, int64_t max_rows,
                                            std::shared_ptr<const Allocator> allocator) {
    const ExpertForm form(entry.config, entry.layer);
    FileProjection file(checkpoint, entry, projection, max_rows, std::move(allocator));
    for (const Role role : kRoles) {
        if (form.expected(projection, role).rank == 0) continue;
        TRY(const bool found, file.find(expert, role));
        if (found || !form.required(projection, role)) continue;
        return Status::error(Code::kMissingTensor, "%s is not in the checkpoint", role_name(role));
    }
    return file;
}

Result<bool> FileProjection::find(int64_t expert, Role role) {
    TRY(const ExpertTensor tensor, checkpoint_->expert_tensor(*entry_, expert, projection_, role));
    if (tensor.entry == nullptr) return false;
    const Layer& layer = entry_->layer;
    TRY(check_form(entry_->config, layer.outputs(projection_), layer.inputs(projection_), role,
                   header_of(tensor)));
    files_[role_index(role)] = tensor;
    return true;
}

Result<std::unique_ptr<Unpacker>> FileProjection::outputs(int64_t first, int64_t rows,
                                                          CodeForm form) {
    const QuantConfig& config = entry_->config;
    const int64_t inputs = entry_->layer.inputs(projection_);
    const int64_t begin = first / kOutputUnit * kOutputUnit;
    const int64_t end =
        std::min(round_up(first + rows, kOutputUnit), entry_->layer.outputs(projection_));
    std::vector<LoadedTensor> loaded;
    ProjectionTensors tensors;
    tensors.first_output = begin;
    const struct {
        Role role;
        TensorView* view;
    } parts[] = {{Role::kWeight, &tensors.weight},
                 {Role::kScale, &tensors.scale},
                 {Role::kZeroPoint, &tensors.zero_point},
                 {Role::kGroupIndex, &tensors.group_index}};
    for (const auto& [role, view] : parts) {
        const ExpertTensor& file = files_[role_index(role)];
        if (file.entry == nullptr) continue;
        const TensorPart part = part_of_outputs(config, inputs, role, begin, end - begin);
        TRY(LoadedTensor tensor, read_part(*checkpoint_, file, part, allocator_));
        *view = tensor.view;
        loaded.push_back(std::move(tensor));
    }
    TRY(check_projection(config, end - begin, inputs, tensors));
    if (watches_ && !negative_scale_) negative_scale_ = find_negative_scale(config, tensors);
    TRY(std::unique_ptr<Unpacker> unpacker,
        Unpacker::create(config, end - begin, inputs, tensors, std::min(max_rows_, end - begin),
                         allocator_, form));
    unpacker = std::make_unique<LoadedUnpacker>(std::move(loaded), std::move(unpacker));
    return first == begin ? std::move(unpacker) : slice_outputs(std::move(unpacker), first - begin);
}

Result<std::vector<float>> FileProjection::read_bias() const {
    const ExpertTensor& file = files_[role_index(Role::kBias)];
    if (file.entry == nullptr) return std::vector<float>();
    const TensorPart whole{.count = {file.shape[0], 1}};
    TRY(const LoadedTensor bias, read_part(*checkpoint_, file, whole, allocator_));
    return mmoe::read_bias(bias.view);
}

Result<std::vector<int32_t>> read_channels(const Checkpoint& checkpoint, const LayerEntry& entry,
                                           int64_t expert,
                                           const std::shared_ptr<const Allocator>& allocator) {
    TRY(const ExpertTensor file,
        checkpoint.expert_tensor(entry, expert, Projection::kDown, Role::kGroupIndex));
    if (file.entry == nullptr) return std::vector<int32_t>();
    const int64_t inputs = entry.layer.intermediate_size;
    TRY(check_form(entry.config, entry.layer.hidden_size, inputs, Role::kGroupIndex,
                   header_of(file)));
    const TensorPart whole{.count = {inputs, 1}};
    TRY(const LoadedTensor group_index, read_part(checkpoint, file, whole, allocator));
    TRY(check_group_order(entry.config, inputs, group_index.view));
    return ExpertForm(entry.config, entry.layer).channels(group_index.view);
}

Status dequantize(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                  Projection projection, std::span<float> weights,
                  const std::shared_ptr<const Allocator>& allocator) {
    TRY(check_dequantize(entry, expert, projection, weights.size()));
    const BundleSpec spec{entry.config, entry.layer, {}, 0};
    const ScratchPlan scratch(spec, DeviceKind::kCpu, 1, 1);
    const int64_t outputs = entry.layer.outputs(projection);
    const int64_t inputs = entry.layer.inputs(projection);
    const int64_t band_rows = scratch.band_rows(projection);
    const int64_t strip_rows = scratch.strip_rows(projection);
    TRY(FileProjection file,
        FileProjection::open(checkpoint, entry, expert, projection, strip_rows, allocator));
    for (int64_t first = 0; first < outputs; first += band_rows) {
        const int64_t rows = std::min(band_rows, outputs - first);
        TRY(const std::unique_ptr<Unpacker> band, file.outputs(first, rows, CodeForm::kCanonical));
        for (int64_t row = 0; row < rows; row += strip_rows) {
            dequantize_strip(band->strip(row, std::min(strip_rows, rows - row)),
                             weights.data() + (first + row) * inputs);
        }
    }
    return {};
}

}  // namespace mmoe
