// SPDX-License-Identifier: Apache-2.0
#include "bundle/read_projection.h"

#include <algorithm>

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

// Reads one tensor; false if the checkpoint has none.
Result<bool> read_role(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                       Projection projection, Role role,
                       const std::shared_ptr<const Allocator>& allocator, LoadedTensors& loaded) {
    TRY(const ExpertTensor tensor, checkpoint.expert_tensor(entry, expert, projection, role));
    if (tensor.entry == nullptr) return false;
    Buffer& buffer = loaded.data[ExpertTensors::index(projection, role)];
    TRY(buffer, Buffer::create(allocator, tensor.byte_count, "load scratch"));
    TRY(checkpoint.read(tensor, buffer.as<uint8_t>()));
    TensorView& view = loaded.tensors.at(projection, role);
    view.dtype = tensor.entry->dtype;
    view.rank = tensor.rank;
    std::copy(std::begin(tensor.shape), std::end(tensor.shape), view.shape);
    view.data = buffer.data();
    return true;
}

}  // namespace

Result<LoadedTensors> read_projection(const Checkpoint& checkpoint, const LayerEntry& entry,
                                      int64_t expert, Projection projection,
                                      const std::shared_ptr<const Allocator>& allocator) {
    const ExpertForm form(entry.config, entry.layer);
    LoadedTensors loaded;
    for (const Role role : kRoles) {
        if (form.expected(projection, role).rank == 0) continue;
        TRY(const bool found,
            read_role(checkpoint, entry, expert, projection, role, allocator, loaded));
        if (found || !form.required(projection, role)) continue;
        return Status::error(Code::kMissingTensor, "%s is not in the checkpoint", role_name(role));
    }
    return loaded;
}

Result<std::vector<int32_t>> read_channels(const Checkpoint& checkpoint, const LayerEntry& entry,
                                           int64_t expert, const ExpertForm& form,
                                           const std::shared_ptr<const Allocator>& allocator) {
    LoadedTensors loaded;
    TRY(read_role(checkpoint, entry, expert, Projection::kDown, Role::kGroupIndex, allocator,
                  loaded));
    const TensorView& group_index = loaded.tensors.at(Projection::kDown, Role::kGroupIndex);
    if (!group_index.absent()) {
        TRY(form.check(Projection::kDown, Role::kGroupIndex, group_index)
                .within("%s", projection_name(Projection::kDown)));
        TRY(check_group_order(entry.config, entry.layer.intermediate_size, group_index));
    }
    return form.channels(group_index);
}

Status dequantize(const Checkpoint& checkpoint, const LayerEntry& entry, int64_t expert,
                  Projection projection, std::span<float> weights,
                  const std::shared_ptr<const Allocator>& allocator) {
    TRY(check_dequantize(entry, expert, projection, weights.size()));
    TRY(const LoadedTensors loaded,
        read_projection(checkpoint, entry, expert, projection, allocator));
    const int64_t outputs = entry.layer.outputs(projection);
    const int64_t inputs = entry.layer.inputs(projection);
    const ProjectionTensors tensors = loaded.tensors.projection(projection);
    TRY(check_projection(entry.config, outputs, inputs, tensors));
    constexpr int64_t kRows = 64;
    TRY(const std::unique_ptr<Unpacker> unpacker,
        Unpacker::create(entry.config, outputs, inputs, tensors, std::min(kRows, outputs),
                         allocator));
    for (int64_t row = 0; row < outputs; row += kRows) {
        dequantize_strip(unpacker->strip(row, std::min(kRows, outputs - row)),
                         weights.data() + row * inputs);
    }
    return {};
}

}  // namespace mmoe
