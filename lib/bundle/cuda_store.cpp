// SPDX-License-Identifier: Apache-2.0
// Bands become Marlin tiles in host memory and are copied to their place on the device.
#include "bundle/cuda_store.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/checked.h"
#include "repack/slice.h"

namespace mmoe {
namespace {

// As the kernels name it; SWIGLUOAI is SILU's formula with the layer's own numbers.
cuda::Activation activation_of(Activation activation) noexcept {
    return activation == Activation::kSwigluOai ? cuda::Activation::kSilu
                                                : static_cast<cuda::Activation>(activation);
}

cuda::Matrix describe(const MarlinShape& shape) noexcept {
    cuda::Matrix matrix;
    matrix.bits = shape.bits;
    matrix.inputs = static_cast<int32_t>(shape.inputs);
    matrix.outputs = static_cast<int32_t>(shape.outputs);
    matrix.group_size = static_cast<int32_t>(shape.inputs / shape.groups);
    matrix.scale_type = shape.scale_type;
    matrix.scale_order = shape.scale_order();
    matrix.expert_stride_bytes = 4 * shape.weight_words();
    matrix.tile_row_stride_bytes = marlin_tile_bytes(shape);
    matrix.tile_stride_bytes = shape.inputs / 16 * marlin_tile_bytes(shape);
    return matrix;
}

Result<Buffer> zeroed(const std::shared_ptr<const Allocator>& allocator, int64_t size_bytes) {
    TRY(Buffer buffer,
        Buffer::create(allocator, static_cast<uint64_t>(size_bytes), "repacked projection"));
    std::memset(buffer.data(), 0, buffer.size_bytes());
    return buffer;
}

}  // namespace

cuda::Layer describe_cuda_layer(const BundleSpec& spec, const CudaBundlePlan& plan) {
    const Layer& layer = spec.layer;
    cuda::Layer described;
    described.expert_count = static_cast<int32_t>(plan.slot_count);
    described.global_expert_count = static_cast<int32_t>(layer.expert_count);
    described.hidden_size = static_cast<int32_t>(layer.hidden_size);
    described.intermediate_size = static_cast<int32_t>(plan.layer.padded_intermediate);
    described.gated = layer.gated();
    described.router_weight_on_input = layer.router_weight_on_input;
    described.activation = activation_of(layer.activation);
    described.alpha = layer.alpha;
    described.beta = layer.beta;
    described.limit = layer.limit;
    described.w13 = describe(plan.w13.shape);
    described.w2 = describe(plan.w2.shape);
    described.ordered_inputs = plan.ordered_inputs;
    return described;
}

struct CudaStore::Packed {
    Buffer codes, scales, zero_points;
};

Result<std::unique_ptr<CudaStore>> CudaStore::create(std::shared_ptr<const Context> context,
                                                     const BundleSpec& spec, const Shard& shard) {
    std::unique_ptr<CudaStore> store(new CudaStore);
    store->spec_ = spec;
    store->shard_ = shard;
    store->plan_ = plan_cuda_bundle(spec, shard);
    store->has_order_.resize(static_cast<size_t>(shard.slot_count));
    const uint64_t bytes = store->plan_.total_bytes;
    TRY(store->lease_, Budget::take(context->budget, bytes, "expert weights"));
    TRY(store->memory_,
        DeviceBuffer::create(context->index, context->device_allocator, bytes, "expert weights"));
    TRY(const CudaScope scope, CudaScope::enter(context->index, nullptr));
    TRY(fill_device(store->memory_.data(), 0, bytes));
    store->context_ = std::move(context);
    store->make_view();
    return store;
}

cuda::Matrix CudaStore::view(const CudaMatrixPlan& matrix) const noexcept {
    cuda::Matrix view = describe(matrix.shape);
    const uint8_t* base = memory_.data();
    view.codes = base + matrix.codes.offset;
    view.scales = base + matrix.scales.offset;
    if (plan_.asymmetric) {
        view.zero_points = reinterpret_cast<const uint32_t*>(base + matrix.zero_points.offset);
    }
    if (plan_.bias) view.bias = reinterpret_cast<const float*>(base + matrix.bias.offset);
    return view;
}

uint8_t* CudaStore::slot_data(const CudaPart& part, int64_t slot) const noexcept {
    return memory_.data() + part.offset + static_cast<uint64_t>(slot) * part.slot_bytes;
}

void CudaStore::make_view() noexcept {
    layer_ = describe_cuda_layer(spec_, plan_);
    layer_.w13 = view(plan_.w13);
    layer_.w2 = view(plan_.w2);
    if (plan_.ordered_inputs) {
        layer_.hidden_order =
            reinterpret_cast<const int32_t*>(memory_.data() + plan_.hidden_order.offset);
    }
    layer_.slot_map = reinterpret_cast<const int32_t*>(memory_.data() + plan_.slot_map);
}

Result<CudaStore::Packed> CudaStore::pack(const StoreEntry& entry, const MarlinShape& shape) const {
    const std::shared_ptr<const Allocator>& allocator = context_->allocator;
    Packed packed;
    TRY(const Buffer rows_first, zeroed(allocator, 4 * shape.weight_words()));
    TRY(packed.codes, zeroed(allocator, 4 * shape.weight_words()));
    TRY(packed.scales, zeroed(allocator, shape.scale_bytes()));
    TRY(packed.zero_points, zeroed(allocator, 4 * shape.zero_point_words()));
    const MarlinTensors tensors = {rows_first.as<uint32_t>(), packed.scales.as<uint8_t>(),
                                   packed.zero_points.as<uint32_t>()};
    for (int64_t row = 0; row < entry.rows; row += entry.strip_rows) {
        pack_marlin(shape, entry.source.strip(row, std::min(entry.strip_rows, entry.rows - row)),
                    row, tensors);
    }
    tiles_by_column(shape, rows_first.data(), packed.codes.data());
    return packed;
}

Status CudaStore::upload(const StoreEntry& entry, const Packed& packed) const {
    const bool down = entry.projection == Projection::kDown;
    const CudaMatrixPlan& matrix = down ? plan_.w2 : plan_.w13;
    const MarlinShape& shape = matrix.shape;
    const int64_t first =
        plan_.layer.first_output(entry.projection, spec_.layer.gated()) + entry.first_row;
    const auto groups = static_cast<uint64_t>(shape.groups);
    // Where the rows begin in a part of this slot, and how far into it, were it one long row.
    const auto place = [&](const CudaPart& part) {
        const uint64_t row_share =
            part.slot_bytes * static_cast<uint64_t>(first) / static_cast<uint64_t>(shape.outputs);
        return std::pair{slot_data(part, entry.slot), row_share};
    };
    const auto [codes, codes_share] = place(matrix.codes);
    TRY(copy_to_device(codes + codes_share, packed.codes.data(), packed.codes.size_bytes()));
    const auto [scales, scales_share] = place(matrix.scales);
    TRY(copy_rows_to_device(scales + scales_share / groups, matrix.scales.slot_bytes / groups,
                            packed.scales.data(), packed.scales.size_bytes() / groups, groups));
    if (!plan_.asymmetric) return {};
    const auto [zeros, zeros_share] = place(matrix.zero_points);
    return copy_rows_to_device(zeros + zeros_share / groups, matrix.zero_points.slot_bytes / groups,
                               packed.zero_points.data(), packed.zero_points.size_bytes() / groups,
                               groups);
}

// Gate and up multiply the same activations: the second of them must have the first one's order.
Status CudaStore::keep_hidden_order(const StoreEntry& entry) {
    if (!plan_.ordered_inputs || entry.projection == Projection::kDown) return {};
    if (entry.first_row != 0) return {};
    const std::span<const int32_t> moved = entry.source.strip(0, 1).order;
    std::vector<int32_t> order(moved.begin(), moved.end());
    for (auto k = static_cast<int64_t>(order.size()); k < spec_.layer.hidden_size; ++k) {
        order.push_back(static_cast<int32_t>(k));
    }
    uint8_t* kept = slot_data(plan_.hidden_order, entry.slot);
    uint8_t& known = has_order_[static_cast<size_t>(entry.slot)];
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    if (known != 0) {
        std::vector<int32_t> first(order.size());
        TRY(copy_to_host(first.data(), kept, first.size() * sizeof(int32_t)));
        return check_same_order(first, order);
    }
    order.resize(static_cast<size_t>(plan_.layer.w13.inputs), -1);
    TRY(copy_to_device(kept, order.data(), order.size() * sizeof(int32_t)));
    known = 1;
    return {};
}

Status CudaStore::put(const StoreEntry& entry) {
    MarlinShape shape = plan_.layer.shape(entry.projection);
    shape.outputs = round_up(entry.rows, int64_t{layout::kMarlinBlock});
    TRY(keep_hidden_order(entry));
    TRY(const Packed packed, pack(entry, shape));
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    return upload(entry, packed);
}

// The down projection's bias is added once, by tensor rank 0; the others keep zeros.
Status CudaStore::put_bias(int64_t slot, Projection projection, std::span<const float> bias,
                           std::span<const int32_t> channels) {
    const bool down = projection == Projection::kDown;
    if (down && spec_.split.tensor_rank != 0) return {};
    const CudaMatrixPlan& matrix = down ? plan_.w2 : plan_.w13;
    const int64_t count = down ? spec_.layer.hidden_size : shard_.slice.size;
    std::vector<float> own(static_cast<size_t>(count));
    for (int64_t output = 0; output < count; ++output) {
        const auto place = static_cast<size_t>(down ? output : shard_.slice.first + output);
        const bool moved = !down && !channels.empty();
        own[static_cast<size_t>(output)] =
            bias[moved ? static_cast<size_t>(channels[place]) : place];
    }
    const int64_t first = plan_.layer.first_output(projection, spec_.layer.gated());
    uint8_t* to = slot_data(matrix.bias, slot) + static_cast<uint64_t>(4 * first);
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    return copy_to_device(to, own.data(), own.size() * sizeof(float));
}

Status CudaStore::clear(int64_t slot) {
    has_order_[static_cast<size_t>(slot)] = 0;
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    return wait_for_device();
}

Status CudaStore::read_slot(int64_t slot, std::span<uint8_t> out) const {
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    for (const CudaPart& part : plan_.parts()) {
        TRY(copy_to_host(out.data() + part.offset_in_slot, slot_data(part, slot), part.slot_bytes));
    }
    return {};
}

Status CudaStore::write_slot(int64_t slot, std::span<const uint8_t> bytes) {
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    for (const CudaPart& part : plan_.parts()) {
        TRY(copy_to_device(slot_data(part, slot), bytes.data() + part.offset_in_slot,
                           part.slot_bytes));
    }
    return {};
}

Status CudaStore::publish(std::span<const int32_t> slots) {
    TRY(const CudaScope scope, CudaScope::enter(context_->index, nullptr));
    return copy_to_device(memory_.data() + plan_.slot_map, slots.data(), slots.size_bytes());
}

}  // namespace mmoe
