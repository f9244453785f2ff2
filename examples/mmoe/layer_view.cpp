// SPDX-License-Identifier: Apache-2.0
#include "layer_view.h"

#include <cstdio>
#include <cstring>

#include "options.h"

namespace mmoe_tool {
namespace {

const char* format_name(mmoe_format format) {
    switch (format) {
        case MMOE_FORMAT_COMPRESSED_TENSORS:
            return "compressed-tensors";
        case MMOE_FORMAT_GPTQ:
            return "gptq";
        case MMOE_FORMAT_AWQ:
            return "awq";
        default:
            return "other";
    }
}

const char* activation_name(mmoe_activation activation) {
    constexpr const char* kNames[] = {"silu", "gelu", "gelu_tanh", "relu2", "swigluoai"};
    return activation >= 0 && activation < 5 ? kNames[activation] : "other";
}

}  // namespace

LayerView view_layer(const mmoe_checkpoint* checkpoint, uint32_t index) {
    LayerView view{index, sized<mmoe_layer>(), sized<mmoe_layer_place>(), nullptr,
                   sized<mmoe_quant_fields>()};
    mmoe_quant_config* config = nullptr;
    call(mmoe_checkpoint_layer_info, checkpoint, index, &view.layer, &view.place, &config);
    view.config.reset(config);
    call(mmoe_quant_config_info, config, &view.fields);
    return view;
}

std::string scheme_text(const mmoe_quant_fields& fields) {
    std::string text = "int" + std::to_string(fields.bits);
    text += fields.symmetry == MMOE_ASYMMETRIC ? " asymmetric" : " symmetric";
    text += fields.group_size == MMOE_GROUP_SIZE_CHANNEL ? std::string(" channel")
                                                         : " g" + std::to_string(fields.group_size);
    if (fields.order == MMOE_ORDER_GROUP) text += " act-order";
    return text;
}

std::string shape_text(const mmoe_layer& layer) {
    return "E" + std::to_string(layer.expert_count) + " H" + std::to_string(layer.hidden_size) +
           " I" + std::to_string(layer.intermediate_size);
}

std::string bytes_text(uint64_t bytes) {
    constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = static_cast<double>(bytes);
    int unit = 0;
    for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

Json layer_json(const LayerView& view) {
    Json json;
    json["layer"] = view.place.model_layer;
    json["experts"] = view.layer.expert_count;
    json["top_k"] = view.place.top_k;
    json["hidden_size"] = view.layer.hidden_size;
    json["intermediate_size"] = view.layer.intermediate_size;
    json["activation"] = activation_name(view.layer.activation);
    json["bias"] = (view.layer.flags & MMOE_LAYER_BIAS) != 0;
    json["scheme"] = scheme_text(view.fields);
    json["format"] = format_name(view.fields.format);
    json["bits"] = view.fields.bits;
    json["group_size"] = view.fields.group_size;
    json["asymmetric"] = view.fields.symmetry == MMOE_ASYMMETRIC;
    json["file_bytes"] = view.place.byte_count;
    json["experts_prefix"] = view.place.experts_prefix;
    return json;
}

std::vector<uint32_t> chosen_layers(const mmoe_checkpoint* checkpoint, int64_t layer) {
    const uint32_t count = mmoe_checkpoint_layer_count(checkpoint);
    if (layer >= count) {
        throw UsageError("--layer " + std::to_string(layer) + ": the checkpoint has " +
                         std::to_string(count) + " MoE layers");
    }
    std::vector<uint32_t> layers;
    if (layer >= 0) layers.push_back(static_cast<uint32_t>(layer));
    for (uint32_t i = 0; layer < 0 && i < count; ++i) layers.push_back(i);
    return layers;
}

mmoe_dtype hidden_dtype(const mmoe_checkpoint* checkpoint, const LayerView& view) {
    const size_t prefix = std::strlen(view.place.experts_prefix);
    for (uint64_t i = 0; i < mmoe_checkpoint_tensor_count(checkpoint); ++i) {
        auto info = sized<mmoe_tensor_info>();
        call(mmoe_checkpoint_tensor_at, checkpoint, i, &info);
        const bool expert = std::strncmp(info.name, view.place.experts_prefix, prefix) == 0;
        if (expert && std::strstr(info.name, "scale") != nullptr) {
            return info.dtype == MMOE_DTYPE_F16 ? MMOE_DTYPE_F16 : MMOE_DTYPE_BF16;
        }
    }
    return MMOE_DTYPE_BF16;
}

}  // namespace mmoe_tool
