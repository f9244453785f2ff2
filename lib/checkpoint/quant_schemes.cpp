// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/quant_schemes.h"

#include <utility>

#include "checkpoint/text.h"

namespace mmoe {

Result<ModulePattern> ModulePattern::regex(std::string_view expression) {
    TRY(Pattern compiled, Pattern::compile(expression));
    ModulePattern pattern(Kind::kRegex, {});
    pattern.pattern_ = std::move(compiled);
    return pattern;
}

Result<ModulePattern> ModulePattern::entry(const std::string& text) {
    constexpr std::string_view kRegexMark = "re:";
    if (text.starts_with(kRegexMark))
        return regex(std::string_view(text).substr(kRegexMark.size()));
    if (text == "Linear") return linear();
    // A module's name has lower-case parts joined by dots; a class starts with a capital.
    const bool is_class = !text.empty() && text.front() >= 'A' && text.front() <= 'Z' &&
                          text.find('.') == std::string::npos;
    return ModulePattern(is_class ? Kind::kNothing : Kind::kExact, text);
}

bool ModulePattern::matches(std::string_view module, uint64_t* steps) const {
    ++*steps;
    switch (kind_) {
        case Kind::kExact:
            return module == text_;
        case Kind::kRegex:
            return pattern_->matches(module, steps);
        case Kind::kLinear:
            return true;
        case Kind::kNothing:
            return false;
        case Kind::kPart:
            break;
    }
    *steps += module.size();
    if (text_.empty()) return false;
    for (size_t at = module.find(text_); at != std::string_view::npos;
         at = module.find(text_, at + 1)) {
        const size_t end = at + text_.size();
        const bool starts = at == 0 || module[at - 1] == '.';
        const bool ends = end == module.size() || module[end] == '.';
        if (starts && ends) return true;
    }
    return false;
}

Result<QuantSchemes> QuantSchemes::parse(const JsonValue& quantization) {
    if (!quantization.is(JsonValue::Kind::kObject)) {
        return wrong_kind("quantization_config", "an object", &quantization);
    }
    TRY(const std::optional<std::string> method, quantization.text_at("quant_method"));
    const bool groups = quantization.find("config_groups") != nullptr;
    if (method ? *method == "compressed-tensors" : groups) {
        return parse_compressed_tensors(quantization);
    }
    if (method == "gptq") return parse_gptq(quantization);
    if (method == "awq") return parse_awq(quantization);
    return Status::error(method ? Code::kUnsupported : Code::kBadData,
                         "quant_method: expected compressed-tensors, gptq or awq, got %s",
                         method ? ("\"" + printable(*method) + "\"").c_str() : "none");
}

Result<QuantConfig> QuantSchemes::answer(const Scheme& scheme) {
    Result<QuantConfig> config = scheme.config;
    if (config.ok()) return config;
    return std::move(config.status()).within("%s", printable(scheme.name).c_str());
}

Result<QuantConfig> QuantSchemes::of(std::string_view module, MatchBudget* budget) const {
    for (const Rule& rule : rules_) {
        uint64_t steps = 0;
        const bool matches = rule.pattern.matches(module, &steps);
        if (steps > budget->steps_left) {
            return Status::error(
                Code::kLimit,
                "%s: expected fewer or simpler rules for this many modules, got too many steps",
                printable(module).c_str());
        }
        budget->steps_left -= steps;
        if (!matches) continue;
        if (rule.scheme) return answer(schemes_[*rule.scheme]);
        return Status::error(Code::kUnsupported,
                             "%s: expected a quantised module, got one that the config excludes",
                             printable(module).c_str());
    }
    return Status::error(Code::kUnsupported, "%s: expected a scheme that is meant for it, got none",
                         printable(module).c_str());
}

Result<QuantConfig> QuantSchemes::only() const {
    if (schemes_.empty()) {
        return Status::error(Code::kUnsupported,
                             "quantization_config: expected a scheme, got none");
    }
    TRY(const QuantConfig first, answer(schemes_.front()));
    for (const Scheme& scheme : schemes_) {
        TRY(const QuantConfig config, answer(scheme));
        if (config == first) continue;
        return Status::error(Code::kUnsupported,
                             "expected one scheme for all modules, got %s (%s) and %s (%s)",
                             printable(schemes_.front().name).c_str(), describe(first).c_str(),
                             printable(scheme.name).c_str(), describe(config).c_str());
    }
    return first;
}

size_t QuantSchemes::add_scheme(std::string name, Result<QuantConfig> config) {
    schemes_.push_back({std::move(name), std::move(config)});
    return schemes_.size() - 1;
}

Result<int> supported_bits(int64_t bits) {
    if (bits == 4 || bits == 8) return static_cast<int>(bits);
    return Status::error(bits > 0 && bits <= 32 ? Code::kUnsupported : Code::kBadData,
                         "bits: expected 4 or 8, got %lld", static_cast<long long>(bits));
}

Result<std::optional<int32_t>> supported_group_size(std::optional<int64_t> group_size) {
    if (!group_size || *group_size == -1) return std::optional<int32_t>{};
    if (*group_size > 0 && *group_size <= INT32_MAX) {
        return std::optional{static_cast<int32_t>(*group_size)};
    }
    return Status::error(Code::kBadData, "group_size: expected a positive number or -1, got %lld",
                         static_cast<long long>(*group_size));
}

}  // namespace mmoe
