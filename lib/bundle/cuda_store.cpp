// SPDX-License-Identifier: Apache-2.0
// Bands become Marlin tiles in host memory and are copied to their place on the device.
#include "bundle/cuda_store.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "bundle/cuda_repack.h"
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

}  // namespace

// The canonical form of a band, one array after the other.
struct CudaStore::BandPlan {
    layout::SourceShape shape;
    uint64_t codes_bytes, scales_bytes, zero_points_bytes;

    BandPlan(const Canonical& strip, int64_t rows) noexcept
        : codes_bytes(static_cast<uint64_t>(rows * strip.words_per_row()) * sizeof(uint32_t)),
          scales_bytes(static_cast<uint64_t>(rows * strip.groups()) * sizeof(float)),
          zero_points_bytes(
              strip.zero_points.empty() ? 0 : static_cast<uint64_t>(rows * strip.groups())) {
        shape.bits = strip.bits;
        shape.outputs = rows;
        shape.inputs = strip.columns;
        shape.groups = strip.groups();
    }
    [[nodiscard]] uint64_t total_bytes() const noexcept {
        return codes_bytes + scales_bytes + zero_points_bytes;
    }
    [[nodiscard]] cuda::RepackSource source(const uint8_t* base) const noexcept {
        cuda::RepackSource source;
        source.shape = shape;
        source.codes = reinterpret_cast<const uint32_t*>(base);
        source.scales = base + codes_bytes;
        source.scale_type = layout::ScaleType::kF32;
        if (zero_points_bytes != 0) source.zero_points = base + codes_bytes + scales_bytes;
        return source;
    }
};

namespace {

template <class T>
void copy_rows(std::span<const T> rows, uint8_t* array, int64_t first_row, int64_t row_elements) {
    if (rows.empty()) return;
    std::memcpy(array + static_cast<size_t>(first_row * row_elements) * sizeof(T), rows.data(),
                rows.size_bytes());
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
        DeviceBuffer::create(context->place, context->device_allocator, bytes, "expert weights"));
    TRY(const CudaScope scope, CudaScope::enter(context->place));
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

// Where a band goes.
cuda::RepackTarget CudaStore::target(const StoreEntry& entry, int64_t columns) const noexcept {
    const CudaMatrixPlan& matrix = entry.projection == Projection::kDown ? plan_.w2 : plan_.w13;
    cuda::RepackTarget target;
    target.matrix = describe(matrix.shape);
    target.codes = slot_data(matrix.codes, entry.slot);
    target.scales = slot_data(matrix.scales, entry.slot);
    target.zero_points = reinterpret_cast<uint32_t*>(slot_data(matrix.zero_points, entry.slot));
    target.first_output = static_cast<int32_t>(
        plan_.layer.first_output(entry.projection, spec_.layer.gated()) + entry.first_row);
    target.rows = static_cast<int32_t>(entry.rows);
    target.columns = static_cast<int32_t>(columns);
    target.expert_count = 1;
    return target;
}

// Strip by strip into memory that the device reads itself, from there with one copy to its own,
// and from there by its own threads to where the kernels want it.
Status CudaStore::repack(const StoreEntry& entry, CudaStaging& staging,
                         const BandPlan& band) const {
    uint8_t* codes = staging.host();
    uint8_t* scales = codes + band.codes_bytes;
    uint8_t* zero_points = scales + band.scales_bytes;
    for (int64_t row = 0; row < entry.rows; row += entry.strip_rows) {
        const Canonical strip =
            entry.source.strip(row, std::min(entry.strip_rows, entry.rows - row));
        copy_rows(strip.codes, codes, row, strip.words_per_row());
        copy_rows(strip.scales, scales, row, strip.groups());
        copy_rows(strip.zero_points, zero_points, row, strip.groups());
    }
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    TRY(staging.send(band.total_bytes()));
    TRY(repack_on_device(band.source(staging.on_device()), target(entry, band.shape.inputs),
                         staging.stream()));
    return staging.wait();
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
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
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
    TRY(keep_hidden_order(entry));
    const BandPlan band(entry.source.strip(0, 1), entry.rows);
    TRY(std::unique_ptr<CudaStaging> staging, staging_.take(*context_, band.total_bytes()));
    const Status status = repack(entry, *staging, band);
    staging_.give_back(std::move(staging));
    return status;
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
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    return copy_to_device(to, own.data(), own.size() * sizeof(float));
}

Status CudaStore::clear(int64_t slot) {
    has_order_[static_cast<size_t>(slot)] = 0;
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    return wait_for_device();
}

Status CudaStore::read_slot(int64_t slot, std::span<uint8_t> out) const {
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    for (const CudaPart& part : plan_.parts()) {
        TRY(copy_to_host(out.data() + part.offset_in_slot, slot_data(part, slot), part.slot_bytes));
    }
    return {};
}

Status CudaStore::write_slot(int64_t slot, std::span<const uint8_t> bytes) {
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    for (const CudaPart& part : plan_.parts()) {
        TRY(copy_to_device(slot_data(part, slot), bytes.data() + part.offset_in_slot,
                           part.slot_bytes));
    }
    return {};
}

Status CudaStore::publish(std::span<const int32_t> slots) {
    TRY(const CudaScope scope, CudaScope::enter(context_->place));
    return copy_to_device(memory_.data() + plan_.slot_map, slots.data(), slots.size_bytes());
}

}  // namespace mmoe
