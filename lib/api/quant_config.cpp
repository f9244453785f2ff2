// SPDX-License-Identifier: Apache-2.0
// Quant configs, and the fields of layers and splits, between C and C++.
#include <cmath>
#include <limits>

#include "api/handles.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_ORDER_GROUP == static_cast<int>(Order::kGroup));
static_assert(MMOE_ORDER_STATIC == static_cast<int>(Order::kStatic));
static_assert(MMOE_ASYMMETRIC == static_cast<int>(Symmetry::kAsymmetric));
static_assert(MMOE_ZERO_POINT_INT8 == static_cast<int>(ZeroPointForm::kInt8));
static_assert(MMOE_ZERO_POINT_MINUS_ONE_WORD == static_cast<int>(ZeroPointForm::kMinusOneWord));
static_assert(MMOE_FORMAT_GPTQ == static_cast<int>(Format::kGptq));
static_assert(MMOE_FORMAT_AWQ == static_cast<int>(Format::kAwq));
static_assert(MMOE_ACTIVATION_SWIGLUOAI == static_cast<int>(Activation::kSwigluOai));
static_assert(MMOE_ACTIVATION_RELU2 == static_cast<int>(Activation::kRelu2));
static_assert(MMOE_GATE_NONE == static_cast<int>(GateForm::kNone));
static_assert(MMOE_DTYPE_BF16 == static_cast<int>(layout::ScaleType::kBf16));
static_assert(MMOE_DTYPE_F16 == static_cast<int>(layout::ScaleType::kF16));
static_assert(MMOE_DTYPE_F32 == static_cast<int>(layout::ScaleType::kF32));

namespace {

Status check_enum(const char* name, int32_t value, int32_t last) {
    if (value >= 0 && value <= last) return {};
    return Status::error(Code::kInvalidArgument, "%s: expected 0 to %d, got %d", name, last, value);
}

Result<QuantConfig> read_fields(const mmoe_quant_fields* given) {
    mmoe_quant_fields fields;
    TRY(read_options(given, "fields", &fields));
    TRY(check_enum("format", fields.format, static_cast<int32_t>(kLastFormat)));
    TRY(check_enum("symmetry", fields.symmetry, MMOE_ASYMMETRIC));
    TRY(check_enum("zero_point_form", fields.zero_point_form,
                   static_cast<int32_t>(kLastZeroPointForm)));
    TRY(check_enum("order", fields.order, MMOE_ORDER_GROUP));
    if (fields.group_size < 1 && fields.group_size != MMOE_GROUP_SIZE_CHANNEL) {
        return Status::error(Code::kInvalidArgument,
                             "group_size: expected a positive number or "
                             "MMOE_GROUP_SIZE_CHANNEL (-1), got %d",
                             fields.group_size);
    }
    QuantConfig config;
    config.format = static_cast<Format>(fields.format);
    config.bits = fields.bits;
    if (fields.group_size != MMOE_GROUP_SIZE_CHANNEL) config.group_size = fields.group_size;
    config.symmetry = static_cast<Symmetry>(fields.symmetry);
    config.zero_point_form = static_cast<ZeroPointForm>(fields.zero_point_form);
    config.order = static_cast<Order>(fields.order);
    if (fields.scale_dtype != 0) {
        if (fields.scale_dtype < MMOE_DTYPE_F32 || fields.scale_dtype > MMOE_DTYPE_BF16) {
            return Status::error(Code::kInvalidArgument,
                                 "scale_dtype: expected F32, F16, BF16 or 0, got %d",
                                 fields.scale_dtype);
        }
        config.scale_type = static_cast<layout::ScaleType>(fields.scale_dtype);
    }
    TRY(validate(config));
    return config;
}

}  // namespace

namespace mmoe::api {

mmoe_quant_fields describe_config(const QuantConfig& config) noexcept {
    mmoe_quant_fields fields = {};
    fields.format = static_cast<mmoe_format>(config.format);
    fields.bits = config.bits;
    fields.group_size = config.group_size.value_or(MMOE_GROUP_SIZE_CHANNEL);
    fields.symmetry = static_cast<mmoe_symmetry>(config.symmetry);
    fields.zero_point_form = static_cast<mmoe_zero_point_form>(config.zero_point_form);
    fields.order = static_cast<mmoe_order>(config.order);
    if (config.scale_type) fields.scale_dtype = static_cast<mmoe_dtype>(*config.scale_type);
    return fields;
}

Result<Layer> read_layer(const mmoe_layer* given) {
    mmoe_layer fields;
    TRY(read_options(given, "layer", &fields));
    TRY(check_enum("activation", fields.activation, MMOE_ACTIVATION_SWIGLUOAI));
    TRY(check_enum("gate_form", fields.gate_form, MMOE_GATE_NONE));
    constexpr uint32_t kKnownFlags = MMOE_LAYER_BIAS | MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT;
    if ((fields.flags & ~kKnownFlags) != 0) {
        return Status::error(Code::kInvalidArgument, "layer flags: unknown bits 0x%x",
                             fields.flags & ~kKnownFlags);
    }
    const bool oai = fields.activation == MMOE_ACTIVATION_SWIGLUOAI;
    const auto or_default = [](float value, float fallback) {
        return value == 0.0F ? fallback : value;
    };
    Layer layer;
    layer.expert_count = fields.expert_count;
    layer.hidden_size = fields.hidden_size;
    layer.intermediate_size = fields.intermediate_size;
    layer.activation = static_cast<Activation>(fields.activation);
    layer.gate_form = static_cast<GateForm>(fields.gate_form);
    layer.alpha = or_default(fields.alpha, oai ? 1.702F : 1.0F);
    layer.beta = or_default(fields.beta, oai ? 1.0F : 0.0F);
    layer.limit = or_default(fields.limit, oai ? 7.0F : std::numeric_limits<float>::infinity());
    layer.bias = (fields.flags & MMOE_LAYER_BIAS) != 0;
    layer.router_weight_on_input = (fields.flags & MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT) != 0;
    return layer;
}

mmoe_layer describe_layer(const Layer& layer) noexcept {
    mmoe_layer fields = {};
    fields.expert_count = static_cast<uint32_t>(layer.expert_count);
    fields.hidden_size = static_cast<uint32_t>(layer.hidden_size);
    fields.intermediate_size = static_cast<uint32_t>(layer.intermediate_size);
    fields.activation = static_cast<mmoe_activation>(layer.activation);
    fields.gate_form = static_cast<mmoe_gate_form>(layer.gate_form);
    fields.alpha = layer.alpha;
    fields.beta = layer.beta;
    fields.limit = layer.limit;
    if (layer.bias) fields.flags |= MMOE_LAYER_BIAS;
    if (layer.router_weight_on_input) fields.flags |= MMOE_LAYER_ROUTER_WEIGHT_ON_INPUT;
    return fields;
}

Split read_split(const mmoe_split& given) noexcept {
    Split split;
    split.tensor_ranks = given.tensor_ranks == 0 ? 1 : given.tensor_ranks;
    split.tensor_rank = given.tensor_rank;
    split.expert_ranks = given.expert_ranks == 0 ? 1 : given.expert_ranks;
    split.expert_rank = given.expert_rank;
    return split;
}

}  // namespace mmoe::api

mmoe_status mmoe_quant_config_create(const mmoe_quant_fields* fields, mmoe_quant_config** out,
                                     mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_not_null(fields, "fields"));
        TRY(require_not_null(out, "out"));
        TRY(const QuantConfig config, read_fields(fields));
        *out = new mmoe_quant_config(std::make_shared<const QuantConfig>(config));
        return {};
    });
}

mmoe_status mmoe_quant_config_load(const char* path, const char* module, mmoe_quant_config** out,
                                   mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_not_null(path, "path"));
        TRY(require_not_null(out, "out"));
        TRY(const QuantConfig config, load_quant_config(path, module == nullptr ? "" : module));
        *out = new mmoe_quant_config(std::make_shared<const QuantConfig>(config));
        return {};
    });
}

mmoe_status mmoe_quant_config_info(const mmoe_quant_config* config, mmoe_quant_fields* fields,
                                   mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(config, "config"));
        TRY(require_not_null(fields, "fields"));
        TRY(check_output(fields, "fields"));
        write_output(describe_config(*config->object), fields);
        return {};
    });
}

void mmoe_quant_config_destroy(mmoe_quant_config* config) {
    delete config;
}
