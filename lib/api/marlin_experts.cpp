// SPDX-License-Identifier: Apache-2.0
// Bundles from Marlin matrices, and Marlin matrices from bundles.
#include "bundle/marlin_experts.h"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/batch_tensor.h"
#include "api/handles.h"
#include "bundle/support.h"

using namespace mmoe;
using namespace mmoe::api;

namespace {

// The tensors that an operand of `count` experts has. Rank 0: none.
struct OperandTensors {
    BatchTensor weight, scale, zero_point, bias;
};

OperandTensors tensors_of(const MarlinShape& shape, int64_t count, bool bias) {
    std::vector<DType> scales = {DType::kBf16, DType::kF16, DType::kF32};
    const auto proposed =
        std::find(scales.begin(), scales.end(), static_cast<DType>(shape.scale_type));
    std::iter_swap(scales.begin(), proposed);
    OperandTensors tensors;
    tensors.weight = marlin_tensor(shape, count, Role::kWeight, {});
    tensors.scale = marlin_tensor(shape, count, Role::kScale, scales);
    if (shape.asymmetric) tensors.zero_point = marlin_tensor(shape, count, Role::kZeroPoint, {});
    if (bias) {
        tensors.bias =
            marlin_tensor(shape, count, Role::kBias, {DType::kF32, DType::kF16, DType::kBf16});
    }
    return tensors;
}

mmoe_tensor described(const BatchTensor& tensor) noexcept {
    return tensor.rank == 0 ? mmoe_tensor{} : describe_batch(tensor);
}

mmoe_marlin_operand describe_operand(const OperandTensors& tensors) noexcept {
    mmoe_marlin_operand operand = {};
    operand.weight = described(tensors.weight);
    operand.scale = described(tensors.scale);
    operand.zero_point = described(tensors.zero_point);
    operand.bias = described(tensors.bias);
    return operand;
}

// Null where the tensor is, as it must be, absent.
Result<TensorView> expect_role(const char* operand, const char* role, const mmoe_tensor& given,
                               const BatchTensor& expected) {
    const std::string name = std::string(operand) + role;
    if (expected.rank != 0) return expect_batch(name.c_str(), given, expected);
    if (given.data == nullptr && given.rank == 0) return TensorView{};
    return Status::error(Code::kInvalidArgument, "%s: expected none for this config and layer",
                         name.c_str());
}

// The caller's own memory, which is written on export only.
uint8_t* bytes_of(const TensorView& tensor) noexcept {
    return static_cast<uint8_t*>(const_cast<void*>(tensor.data));
}

Result<MarlinOperand> read_operand(const char* name, const mmoe_marlin_operand& given,
                                   MarlinShape shape, int64_t count, bool bias) {
    const OperandTensors expected = tensors_of(shape, count, bias);
    TRY(const TensorView weight, expect_role(name, ".weight", given.weight, expected.weight));
    TRY(const TensorView scale, expect_role(name, ".scale", given.scale, expected.scale));
    TRY(const TensorView zero_point,
        expect_role(name, ".zero_point", given.zero_point, expected.zero_point));
    TRY(const TensorView biases, expect_role(name, ".bias", given.bias, expected.bias));
    MarlinOperand operand;
    operand.shape = shape;
    operand.shape.scale_type = static_cast<layout::ScaleType>(scale.dtype);
    operand.weight = bytes_of(weight);
    operand.scale = bytes_of(scale);
    operand.zero_point = bytes_of(zero_point);
    operand.bias = bytes_of(biases);
    if (operand.bias != nullptr) operand.bias_type = static_cast<layout::ScaleType>(biases.dtype);
    return operand;
}

// Those of a config with activation order. Rank 0: none.
BatchTensor expected_order(int64_t count, int64_t inputs, bool ordered) {
    return ordered ? order_tensor(count, inputs) : BatchTensor();
}

Result<std::span<int32_t>> read_order(const char* operand, const mmoe_tensor& given, int64_t count,
                                      int64_t inputs, bool ordered) {
    TRY(const TensorView order,
        expect_role(operand, "_order", given, expected_order(count, inputs, ordered)));
    return std::span(reinterpret_cast<int32_t*>(bytes_of(order)),
                     static_cast<size_t>(order.absent() ? 0 : count * inputs));
}

// Padding that a caller chose shows in the rows of the weights.
int64_t padded_inputs(const mmoe_tensor& weight) noexcept {
    constexpr int64_t kMostRows = int64_t{1} << 24;
    return weight.rank == 3 ? std::clamp<int64_t>(weight.shape[1], 0, kMostRows) * kMarlinRowInputs
                            : 0;
}

Result<MarlinExperts> read_experts(const BundleSpec& spec, const Shard& shard,
                                   const mmoe_marlin_experts& given, int64_t count) {
    TRY(const layout::MarlinTile tile, read_tile(given.activation));
    TRY(const MarlinLayerPlan plan,
        plan_marlin_experts(spec, shard, tile, padded_inputs(given.w13.weight),
                            padded_inputs(given.w2.weight)));
    MarlinExperts experts;
    experts.count = count;
    experts.padded_intermediate = plan.padded_intermediate;
    TRY(experts.w13, read_operand("w13", given.w13, plan.w13, count, spec.layer.bias));
    TRY(experts.w2, read_operand("w2", given.w2, plan.w2, count, spec.layer.bias));
    const bool ordered = spec.config.order == Order::kGroup;
    TRY(experts.w13_order,
        read_order("w13", given.w13_order, count, spec.layer.hidden_size, ordered));
    TRY(experts.w2_order, read_order("w2", given.w2_order, count, shard.slice.size, ordered));
    return experts;
}

// A bundle has one type of scales; one of another type is refused, not rounded.
Status expect_one_scale_type(const MarlinExperts& experts, QuantConfig* config) {
    if (!config->scale_type) config->scale_type = experts.w13.shape.scale_type;
    const struct {
        const char* name;
        layout::ScaleType type;
    } scales[] = {{"w13.scale", experts.w13.shape.scale_type},
                  {"w2.scale", experts.w2.shape.scale_type}};
    for (const auto& [name, type] : scales) {
        if (type == *config->scale_type) continue;
        return Status::error(Code::kDtype, "%s: expected %s, got %s", name,
                             dtype_name(static_cast<DType>(*config->scale_type)),
                             dtype_name(static_cast<DType>(type)));
    }
    return {};
}

Split split_of(const mmoe_split* split) noexcept {
    return read_split(split == nullptr ? mmoe_split{} : *split);
}

}  // namespace

mmoe_status mmoe_marlin_describe_experts(const mmoe_quant_config* config, const mmoe_layer* layer,
                                         const mmoe_split* split, mmoe_marlin_activation activation,
                                         mmoe_marlin_experts* experts, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(experts, "experts"));
        TRY(check_output(experts, "experts"));
        TRY(const Layer known_layer, read_layer(layer));
        TRY(const layout::MarlinTile tile, read_tile(activation));
        const BundleSpec spec{*config->object, known_layer, split_of(split), 0};
        TRY(require_support(DeviceKind::kCpu, spec));
        TRY(const Shard shard, plan_shard(spec));
        TRY(const MarlinLayerPlan plan, plan_marlin_experts(spec, shard, tile, 0, 0));
        mmoe_marlin_experts filled = {};
        filled.activation = activation;
        const int64_t count = shard.expert_count;
        filled.w13 = describe_operand(tensors_of(plan.w13, count, known_layer.bias));
        filled.w2 = describe_operand(tensors_of(plan.w2, count, known_layer.bias));
        const bool ordered = spec.config.order == Order::kGroup;
        filled.w13_order = described(expected_order(count, known_layer.hidden_size, ordered));
        filled.w2_order = described(expected_order(count, shard.slice.size, ordered));
        write_output(filled, experts);
        return {};
    });
}

mmoe_status mmoe_marlin_export(const mmoe_bundle* bundle, uint32_t first_expert,
                               const mmoe_marlin_experts* experts, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(bundle, "bundle"));
        TRY(require_not_null(experts, "experts"));
        mmoe_marlin_experts given;
        TRY(read_options(experts, "experts", &given));
        const Bundle& from = *bundle->object;
        const int64_t most = from.layer().expert_count;
        const int64_t count = std::clamp<int64_t>(given.w13.weight.shape[0], 1, most);
        TRY(const MarlinExperts known, read_experts(from.spec(), from.shard(), given, count));
        return from.export_marlin(first_expert, known);
    });
}

mmoe_status mmoe_marlin_import(mmoe_context* context, const mmoe_quant_config* config,
                               const mmoe_layer* layer, const mmoe_split* split,
                               const mmoe_marlin_experts* experts, mmoe_bundle** out,
                               mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_handle(config, "config"));
        TRY(require_not_null(layer, "layer"));
        TRY(require_not_null(experts, "experts"));
        TRY(require_not_null(out, "out"));
        mmoe_marlin_experts given;
        TRY(read_options(experts, "experts", &given));
        TRY(const Layer known_layer, read_layer(layer));
        BundleSpec spec{*config->object, known_layer, split_of(split), 0};
        TRY(require_support(context->object->kind, spec));
        TRY(const Shard shard, plan_shard(spec));
        TRY(const MarlinExperts known, read_experts(spec, shard, given, shard.expert_count));
        TRY(expect_one_scale_type(known, &spec.config));
        TRY(std::shared_ptr<Bundle> bundle, Bundle::import_marlin(context->object, spec, known));
        *out = new mmoe_bundle(std::move(bundle));
        return {};
    });
}
