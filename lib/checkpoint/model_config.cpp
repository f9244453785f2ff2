// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/model_config.h"

#include <algorithm>
#include <span>

#include "checkpoint/checkpoint.h"
#include "checkpoint/file.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

using Names = std::span<const std::string_view>;

// Where multimodal models keep the part that is a language model.
constexpr std::string_view kTextConfigs[] = {"text_config", "llm_config", "language_config"};
constexpr std::string_view kQuantization[] = {"quantization_config", "compression_config"};
// Experts of latent models (Nemotron-3) work on fewer channels than the rest of the model.
constexpr std::string_view kLatentSize[] = {"moe_latent_size"};
constexpr std::string_view kHiddenSize[] = {"hidden_size"};
constexpr std::string_view kMoeIntermediateSize[] = {"moe_intermediate_size",
                                                     "expert_ffn_hidden_size"};
constexpr std::string_view kIntermediateSize[] = {"intermediate_size"};
constexpr std::string_view kExpertCount[] = {"n_routed_experts", "num_local_experts", "num_experts",
                                             "moe_num_experts"};
constexpr std::string_view kTopK[] = {"num_experts_per_tok", "num_experts_per_token", "moe_topk",
                                      "moe_top_k", "moe_k"};
constexpr std::string_view kModelType[] = {"model_type"};
constexpr std::string_view kActivation[] = {"mlp_hidden_act", "hidden_act", "hidden_activation",
                                            "activation_function"};

const JsonValue& text_config(const JsonValue& root) noexcept {
    for (const std::string_view name : kTextConfigs) {
        const JsonValue* nested = root.find(name);
        if (nested != nullptr && nested->is(JsonValue::Kind::kObject)) return *nested;
    }
    return root;
}

// The first of the names that says something. Zero, which dense models write, says nothing here,
// and neither does a list: it holds one number a layer.
Result<std::optional<int64_t>> positive_number(const JsonValue& config, Names names) {
    for (const std::string_view name : names) {
        const JsonValue* value = config.find(name);
        if (value == nullptr || value->is(JsonValue::Kind::kArray)) continue;
        TRY(const std::optional<int64_t> number, config.integer_at(name));
        if (*number > 0) return number;
        if (*number < 0) {
            return Status::error(Code::kBadData, "%s: expected a positive number, got %lld",
                                 printable(name).c_str(), static_cast<long long>(*number));
        }
    }
    return std::optional<int64_t>{};
}

Result<std::string> first_text(const JsonValue& config, Names names) {
    for (const std::string_view name : names) {
        TRY(const std::optional<std::string> text, config.text_at(name));
        if (text) return *text;
    }
    return std::string();
}

void read_schemes(const JsonValue& root, const JsonValue& text, ModelConfig* config) {
    for (const JsonValue* owner : {&root, &text}) {
        for (const std::string_view name : kQuantization) {
            const JsonValue* quantization = owner->find(name);
            if (quantization == nullptr) continue;
            Result<QuantSchemes> schemes = QuantSchemes::parse(*quantization);
            if (schemes.ok()) {
                config->schemes = std::move(schemes).value();
            } else {
                config->schemes_problem = std::move(schemes.status());
            }
            return;
        }
    }
    config->schemes_problem =
        Status::error(Code::kBadData,
                      "quantization_config: expected an object, got none: the model is not "
                      "quantised");
}

Result<std::string> config_path(const std::string& path) {
    TRY(const PathKind kind, look_at(path));
    return kind == PathKind::kDirectory ? join_path(path, "config.json") : path;
}

struct ActivationName {
    std::string_view name;
    Activation activation;
};
constexpr ActivationName kActivations[] = {
    {"silu", Activation::kSilu},           {"swish", Activation::kSilu},
    {"gelu", Activation::kGelu},           {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_new", Activation::kGeluTanh},   {"gelu_tanh", Activation::kGeluTanh},
    {"relu2", Activation::kRelu2},         {"relu_squared", Activation::kRelu2},
    {"swigluoai", Activation::kSwigluOai},
};

Result<Activation> find_activation(std::string_view name, bool gated) {
    if (name.empty()) return gated ? Activation::kSilu : Activation::kRelu2;
    const auto* found = std::find_if(std::begin(kActivations), std::end(kActivations),
                                     [&](const auto& row) { return row.name == name; });
    if (found != std::end(kActivations)) return found->activation;
    return Status::error(Code::kUnsupported,
                         "config.json: hidden_act: expected silu, gelu, gelu_pytorch_tanh, relu2 "
                         "or swigluoai, got \"%s\"",
                         printable(name).c_str());
}

}  // namespace

Result<ModelConfig> parse_model_config(std::string_view json) {
    TRY(const JsonValue root, parse_json_value(json));
    if (!root.is(JsonValue::Kind::kObject)) {
        return wrong_kind("config", "an object", &root);
    }
    const JsonValue& text = text_config(root);
    ModelConfig config;
    TRY(config.hidden_size, positive_number(text, kLatentSize));
    if (!config.hidden_size) {
        TRY(config.hidden_size, positive_number(text, kHiddenSize));
    }
    TRY(config.moe_intermediate_size, positive_number(text, kMoeIntermediateSize));
    TRY(config.intermediate_size, positive_number(text, kIntermediateSize));
    TRY(config.expert_count, positive_number(text, kExpertCount));
    TRY(const std::optional<int64_t> top_k, positive_number(text, kTopK));
    if (top_k) config.top_k = static_cast<uint32_t>(std::min<int64_t>(*top_k, UINT32_MAX));
    TRY(config.activation, first_text(text, kActivation));
    TRY(config.model_type, first_text(text, kModelType));
    const JsonValue* limit = text.find("swiglu_limit");
    if (limit != nullptr && limit->number > 0) config.activation_limit = limit->number;
    read_schemes(root, text, &config);
    return config;
}

Result<ModelConfig> load_model_config(const std::string& path) {
    TRY(const std::string file_path, config_path(path));
    TRY(const File file, File::open(file_path));
    TRY(const std::string json, file.read_text(kMaxConfigBytes));
    Result<ModelConfig> config = parse_model_config(json);
    if (!config.ok()) return std::move(config.status()).within("%s", file.name());
    if (!config.value().schemes_problem.ok()) {
        config.value().schemes_problem =
            std::move(config.value().schemes_problem).within("%s", file.name());
    }
    return config;
}

Status apply_model_config(const ModelConfig& config, bool gated, Layer* layer) {
    TRY(layer->activation, find_activation(config.activation, gated));
    layer->gate_form = gated ? GateForm::kSeparate : GateForm::kNone;
    // gpt-oss says silu and means its own formula, with gate and up rows interleaved.
    if (config.model_type == "gpt_oss") layer->activation = Activation::kSwigluOai;
    if (layer->activation == Activation::kSwigluOai) {
        layer->alpha = 1.702F;
        layer->beta = 1.0F;
        layer->limit = 7.0F;
        if (gated) layer->gate_form = GateForm::kInterleaved;
    }
    if (config.activation_limit) layer->limit = static_cast<float>(*config.activation_limit);
    layer->router_weight_on_input =
        config.model_type == "llama4" || config.model_type == "llama4_text";
    return {};
}

Result<QuantConfig> load_quant_config(const std::string& path, const std::string& module) {
    TRY(ModelConfig config, load_model_config(path));
    if (!config.schemes_problem.ok()) return std::move(config.schemes_problem);
    MatchBudget budget;
    Result<QuantConfig> found =
        module.empty() ? config.schemes.only() : config.schemes.of(module, &budget);
    if (found.ok()) return found;
    return std::move(found.status()).within("config.json");
}

}  // namespace mmoe
