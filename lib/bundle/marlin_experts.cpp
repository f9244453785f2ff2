// SPDX-License-Identifier: Apache-2.0
#include "bundle/marlin_experts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "bundle/expert_tensors.h"
#include "unpack/group_order.h"
#include "unpack/scale_memory.h"

namespace mmoe {
namespace {

using layout::kMarlinBlock;

// Up to kLargestPadding, products of shapes stay below 2^63.
constexpr int64_t kLargestPadding = int64_t{1} << 24;

Result<int64_t> padded(const char* name, int64_t size, int64_t unit, int64_t given) {
    const int64_t least = round_up(size, unit);
    const int64_t wanted = given == 0 ? least : given;
    if (wanted >= least && wanted <= kLargestPadding && wanted % unit == 0) return wanted;
    return Status::error(Code::kShape,
                         "%s: expected a multiple of %lld from %lld on and at most %lld, got %lld",
                         name, static_cast<long long>(unit), static_cast<long long>(least),
                         static_cast<long long>(kLargestPadding), static_cast<long long>(wanted));
}

// Gate begins the operand of the first GEMM, up follows it.
int64_t first_output_of(const MarlinExperts& expert, const Layer& layer,
                        Projection projection) noexcept {
    return layer.gated() && projection == Projection::kUp ? expert.padded_intermediate : 0;
}

std::span<uint32_t> words(uint8_t* data, int64_t count) noexcept {
    if (data == nullptr) return {};
    return {reinterpret_cast<uint32_t*>(data), static_cast<size_t>(count)};
}

MarlinTensors tensors_of(const MarlinOperand& operand) noexcept {
    const MarlinShape& shape = operand.shape;
    return {words(operand.weight, shape.weight_words()),
            {operand.scale, static_cast<size_t>(shape.scale_bytes())},
            words(operand.zero_point, shape.zero_point_words())};
}

int64_t bias_bytes(const MarlinOperand& operand) noexcept {
    return operand.shape.outputs * layout::scale_bytes(operand.bias_type);
}
MarlinShape bias_shape(const MarlinOperand& operand) noexcept {
    MarlinShape shape = operand.shape;
    shape.scale_type = operand.bias_type;
    return shape;
}

Status expect_finite(const char* operand, const char* role, layout::ScaleType type,
                     const uint8_t* numbers, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float value = load_scale(type, numbers, i);
        if (std::isfinite(value)) continue;
        return Status::error(Code::kBadData,
                             "%s %s: expected finite numbers, got %g at element "
                             "%lld",
                             operand, role, static_cast<double>(value), static_cast<long long>(i));
    }
    return {};
}

Status check_operand(const char* name, const MarlinOperand& operand) {
    const MarlinShape& shape = operand.shape;
    TRY(expect_finite(name, "scale", shape.scale_type, operand.scale,
                      shape.groups * shape.outputs));
    if (operand.bias == nullptr) return {};
    return expect_finite(name, "bias", operand.bias_type, operand.bias, shape.outputs);
}

class MarlinExpertReader final : public SlotReader {
  public:
    MarlinExpertReader(const BundleSpec& spec, const Shard& shard, const MarlinExperts& expert,
                       std::shared_ptr<const Allocator> allocator)
        : spec_(spec), shard_(shard), expert_(expert), allocator_(std::move(allocator)) {}

    Result<std::unique_ptr<Unpacker>> rows(Projection projection) const override {
        const MarlinTensors tensors = tensors_of(operand(projection));
        MarlinRows rows;
        rows.first_output = first_output_of(expert_, spec_.layer, projection);
        rows.rows = rank_outputs(spec_, shard_, projection);
        rows.columns =
            projection == Projection::kDown ? shard_.slice.size : spec_.layer.hidden_size;
        return unpack_marlin(operand(projection).shape, std::move(rows),
                             {tensors.weight, tensors.scale, tensors.zero_point}, kStripRows,
                             allocator_);
    }
    [[nodiscard]] float bias(Projection projection, int64_t output) const override {
        const MarlinOperand& from = operand(projection);
        const int64_t place = layout::marlin_scale_place(output, layout::MarlinScaleOrder::kSingle);
        return load_scale(from.bias_type, from.bias,
                          first_output_of(expert_, spec_.layer, projection) + place);
    }
    [[nodiscard]] std::span<const int32_t> order() const noexcept override {
        return expert_.w13_order;
    }
    [[nodiscard]] std::span<const int32_t> channels() const noexcept override {
        return expert_.w2_order;
    }

  private:
    [[nodiscard]] const MarlinOperand& operand(Projection projection) const noexcept {
        return projection == Projection::kDown ? expert_.w2 : expert_.w13;
    }

    const BundleSpec& spec_;
    const Shard& shard_;
    MarlinExperts expert_;
    std::shared_ptr<const Allocator> allocator_;
};

// Zeros: packing leaves out what is past the rows and columns of a projection.
void clear(const MarlinOperand& operand) noexcept {
    const MarlinTensors tensors = tensors_of(operand);
    std::memset(tensors.weight.data(), 0, tensors.weight.size_bytes());
    std::memset(tensors.scale.data(), 0, tensors.scale.size_bytes());
    std::fill(tensors.zero_point.begin(), tensors.zero_point.end(), 0);
    if (operand.bias == nullptr) return;
    std::memset(operand.bias, 0, static_cast<size_t>(bias_bytes(operand)));
}

void pack_bias(const SlotReader& reader, Projection projection, int64_t outputs,
               int64_t first_output, const MarlinOperand& to) {
    std::vector<float> bias(static_cast<size_t>(round_up(outputs, int64_t{kMarlinBlock})));
    for (int64_t n = 0; n < outputs; ++n) {
        bias[static_cast<size_t>(n)] = reader.bias(projection, n);
    }
    pack_marlin_bias(bias_shape(to), bias, first_output,
                     {to.bias, static_cast<size_t>(bias_bytes(to))});
}

}  // namespace

MarlinExperts MarlinExperts::expert(int64_t index) const noexcept {
    MarlinExperts one = *this;
    one.count = 1;
    for (MarlinOperand* operand : {&one.w13, &one.w2}) {
        const MarlinShape& shape = operand->shape;
        operand->weight += index * shape.weight_words() * 4;
        operand->scale += index * shape.scale_bytes();
        if (operand->zero_point != nullptr) {
            operand->zero_point += index * shape.zero_point_words() * 4;
        }
        if (operand->bias != nullptr) operand->bias += index * bias_bytes(*operand);
    }
    for (std::span<int32_t>* order : {&one.w13_order, &one.w2_order}) {
        const size_t inputs = order->size() / static_cast<size_t>(count);
        *order = order->subspan(static_cast<size_t>(index) * inputs, inputs);
    }
    return one;
}

Result<MarlinLayerPlan> plan_marlin_experts(const BundleSpec& spec, const Shard& shard,
                                            layout::MarlinTile tile, int64_t padded_hidden,
                                            int64_t padded_intermediate) {
    const bool grouped = spec.config.group_size.has_value();
    const int64_t hidden_group = grouped ? *spec.config.group_size : 1;
    const int64_t down_group = grouped ? shard.slice.down_group_size : 1;
    const int64_t block = kMarlinBlock;
    TRY(const int64_t hidden,
        padded("padded H", spec.layer.hidden_size, std::lcm(block, hidden_group), padded_hidden));
    TRY(const int64_t intermediate,
        padded("padded I", shard.slice.size, std::lcm(block, down_group), padded_intermediate));
    return marlin_layer_of(spec.config, spec.layer.gated(),
                           {hidden, grouped ? hidden / hidden_group : 1},
                           {intermediate, grouped ? intermediate / down_group : 1}, tile);
}

Result<std::unique_ptr<SlotReader>> open_marlin_expert(
    const BundleSpec& spec, const Shard& shard, const MarlinExperts& expert,
    const std::shared_ptr<const Allocator>& allocator) {
    TRY(check_operand("w13", expert.w13));
    TRY(check_operand("w2", expert.w2));
    auto reader = std::make_unique<MarlinExpertReader>(spec, shard, expert, allocator);
    TRY(check_permutation(expert.w13_order).within("w13_order"));
    TRY(check_permutation(expert.w2_order).within("w2_order"));
    return std::unique_ptr<SlotReader>(std::move(reader));
}

Status pack_marlin_expert(const SlotReader& reader, const BundleSpec& spec, const Shard& shard,
                          const MarlinExperts& expert) {
    clear(expert.w13);
    clear(expert.w2);
    for (const Projection projection : kProjections) {
        if (projection == Projection::kGate && !spec.layer.gated()) continue;
        const MarlinOperand& to = projection == Projection::kDown ? expert.w2 : expert.w13;
        const int64_t outputs = rank_outputs(spec, shard, projection);
        const int64_t first_output = first_output_of(expert, spec.layer, projection);
        TRY(const std::unique_ptr<Unpacker> rows, reader.rows(projection));
        constexpr int64_t kStripRows = SlotReader::kStripRows;
        for (int64_t row = 0; row < outputs; row += kStripRows) {
            const Canonical strip = rows->strip(row, std::min(kStripRows, outputs - row));
            pack_marlin(to.shape, strip, first_output + row, tensors_of(to));
        }
        if (to.bias != nullptr) pack_bias(reader, projection, outputs, first_output, to);
    }
    if (!expert.w13_order.empty()) std::ranges::copy(reader.order(), expert.w13_order.begin());
    std::iota(expert.w2_order.begin(), expert.w2_order.end(), 0);
    return {};
}

}  // namespace mmoe
