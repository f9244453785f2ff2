// SPDX-License-Identifier: Apache-2.0
// compressed-tensors: config groups, each with its targets, and an ignore list. As the library
// does it, a target that is a whole name goes before an expression, and that before a class,
// whichever groups they stand in; the ignore list goes before all.
#include <array>

#include "checkpoint/quant_schemes.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr const char* kPackedFormat = "pack-quantized";

Status expect_no(const JsonValue& group, const char* name) {
    if (group.find(name) == nullptr) return {};
    return Status::error(Code::kUnsupported, "%s: expected null, got quantised activations", name);
}

Status expect_packed(const std::optional<std::string>& format) {
    if (format == kPackedFormat) return {};
    return Status::error(Code::kUnsupported, "format: expected %s, got \"%s\"", kPackedFormat,
                         printable(format.value_or("")).c_str());
}

Status expect_integers(const JsonValue& weights) {
    TRY(const std::optional<std::string> type, weights.text_at("type"));
    if (type.value_or("int") != "int") {
        return Status::error(Code::kUnsupported, "type: expected int, got \"%s\"",
                             printable(*type).c_str());
    }
    // Older writers say false, newer ones also "local" for activations.
    const JsonValue* dynamic = weights.find("dynamic");
    const bool still =
        dynamic == nullptr || (dynamic->is(JsonValue::Kind::kBoolean) && !dynamic->boolean);
    if (still) return {};
    return wrong_kind("dynamic", "false for weights", dynamic).as(Code::kUnsupported);
}

Result<std::optional<int32_t>> read_group_size(const JsonValue& weights) {
    TRY(const std::optional<int64_t> written, weights.integer_at("group_size"));
    TRY(const std::optional<int32_t> group_size, supported_group_size(written));
    TRY(const std::optional<std::string> strategy, weights.text_at("strategy"));
    if (!strategy) {
        if (written) return group_size;
        return Status::error(Code::kUnsupported, "strategy: expected group or channel, got none");
    }
    if (*strategy != "group" && *strategy != "channel") {
        return Status::error(Code::kUnsupported, "strategy: expected group or channel, got \"%s\"",
                             printable(*strategy).c_str());
    }
    if ((*strategy == "group") != group_size.has_value()) {
        return Status::error(Code::kBadData, "group_size: expected %s for strategy %s, got %lld",
                             group_size ? "none" : "a positive number", strategy->c_str(),
                             static_cast<long long>(written.value_or(-1)));
    }
    return group_size;
}

// null, a name, or a boolean of older writers.
Result<Order> read_order(const JsonValue& weights) {
    const JsonValue* value = weights.find("actorder");
    if (value == nullptr) return Order::kNone;
    if (value->is(JsonValue::Kind::kBoolean)) return value->boolean ? Order::kGroup : Order::kNone;
    if (value->text == "weight" || value->text == "static") return Order::kStatic;
    if (value->text == "group" || value->text == "dynamic") return Order::kGroup;
    return Status::error(Code::kUnsupported,
                         "actorder: expected null, weight, static, group or dynamic, got \"%s\"",
                         printable(value->text).c_str());
}

Result<QuantConfig> read_weights(const JsonValue& weights) {
    TRY(expect_integers(weights));
    TRY(const std::optional<int64_t> bits, weights.integer_at("num_bits"));
    TRY(const std::optional<bool> symmetric, weights.boolean_at("symmetric"));
    QuantConfig config;
    config.format = Format::kCompressedTensors;
    TRY(config.bits, supported_bits(bits.value_or(8)));  // the library's defaults
    config.symmetry = symmetric.value_or(true) ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
    TRY(config.group_size, read_group_size(weights));
    TRY(config.order, read_order(weights));
    if (config.order == Order::kGroup && !config.group_size) {
        return Status::error(Code::kBadData, "actorder group: expected a group size, got none");
    }
    return config;
}

Result<QuantConfig> read_group(const JsonValue& group,
                               const std::optional<std::string>& common_format) {
    TRY(std::optional<std::string> format, group.text_at("format"));
    const JsonValue* weights = group.find("weights");
    if (weights == nullptr) {
        return Status::error(Code::kUnsupported, "weights: expected a scheme, got null");
    }
    if (!weights->is(JsonValue::Kind::kObject)) {
        return wrong_kind("weights", "an object", weights);
    }
    TRY(expect_no(group, "input_activations"));
    TRY(expect_no(group, "output_activations"));
    TRY(expect_packed(format ? format : common_format));
    return read_weights(*weights);
}

// Weights that also need something at run time are not what the tensors alone say.
Status expect_plain_weights(const JsonValue& quantization) {
    if (const JsonValue* transforms = quantization.find("transform_config")) {
        const JsonValue* groups = transforms->find("config_groups");
        if (groups != nullptr && !groups->members.empty()) {
            return Status::error(Code::kUnsupported,
                                 "transform_config: expected no groups, got %zu",
                                 groups->members.size());
        }
    }
    if (const JsonValue* sparsity = quantization.find("sparsity_config")) {
        TRY(const std::optional<std::string> format, sparsity->text_at("format"));
        if (format && *format != "dense") {
            return Status::error(Code::kUnsupported, "sparsity_config: expected dense, got \"%s\"",
                                 printable(*format).c_str());
        }
    }
    return {};
}

Result<std::vector<ModulePattern>> read_patterns(const JsonValue& owner, const char* name) {
    std::vector<ModulePattern> patterns;
    const JsonValue* list = owner.find(name);
    if (list == nullptr) return patterns;
    if (!list->is(JsonValue::Kind::kArray)) return wrong_kind(name, "a list of strings", list);
    for (const JsonValue& item : list->items) {
        if (!item.is(JsonValue::Kind::kString)) {
            return wrong_kind(std::string(name) + "[]", "a string", &item);
        }
        Result<ModulePattern> pattern = ModulePattern::entry(item.text);
        if (!pattern.ok()) return std::move(pattern.status()).within("%s", name);
        patterns.push_back(std::move(pattern).value());
    }
    return patterns;
}

struct Target {
    ModulePattern pattern;
    size_t scheme;
};

}  // namespace

Result<QuantSchemes> parse_compressed_tensors(const JsonValue& quantization) {
    TRY(expect_plain_weights(quantization));
    TRY(const std::optional<std::string> format, quantization.text_at("format"));
    const JsonValue* groups = quantization.find("config_groups");
    if (groups == nullptr || !groups->is(JsonValue::Kind::kObject)) {
        return wrong_kind("config_groups", "an object", groups);
    }
    QuantSchemes schemes;
    TRY(std::vector<ModulePattern> ignored, read_patterns(quantization, "ignore"));
    for (ModulePattern& pattern : ignored) schemes.add_exclusion(std::move(pattern));

    std::vector<Target> targets;
    for (const JsonMember& group : groups->members) {
        const size_t scheme = schemes.add_scheme(group.name, read_group(group.value, format));
        TRY(std::vector<ModulePattern> patterns, read_patterns(group.value, "targets"));
        for (ModulePattern& pattern : patterns) targets.push_back({std::move(pattern), scheme});
    }
    constexpr std::array kPrecedence = {ModulePattern::Kind::kExact, ModulePattern::Kind::kRegex,
                                        ModulePattern::Kind::kLinear};
    for (const ModulePattern::Kind kind : kPrecedence) {
        for (const Target& target : targets) {
            if (target.pattern.kind() == kind) schemes.add_rule(target.pattern, target.scheme);
        }
    }
    return schemes;
}

}  // namespace mmoe
