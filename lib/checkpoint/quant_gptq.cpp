// SPDX-License-Identifier: Apache-2.0
// GPTQ: one scheme for the model, and GPTQModel's `dynamic` overrides by expression. v1 files
// store zero points minus one, and how they got there depends on who wrote them.
#include "checkpoint/quant_schemes.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

// GPTQModel takes one from a whole word at once; everybody else from each field. Where no field
// was 0 both give the same bits, so a wrong guess can only meet files that are corrupt anyway.
bool written_by_gptqmodel(const JsonValue& quantization) {
    if (quantization.find("pack_dtype") != nullptr) return true;
    const JsonValue* meta = quantization.find("meta");
    const JsonValue* quantizer = meta == nullptr ? nullptr : meta->find("quantizer");
    if (quantizer == nullptr) return false;
    const auto names_it = [](const JsonValue& value) {
        return value.text.find("gptqmodel") != std::string::npos;
    };
    for (const JsonValue& item : quantizer->items) {
        if (names_it(item)) return true;
    }
    return names_it(*quantizer);
}

Result<ZeroPointForm> read_form(const JsonValue& quantization) {
    TRY(std::optional<std::string> format, quantization.text_at("checkpoint_format"));
    if (!format) {
        TRY(format, quantization.text_at("format"));
    }
    if (format == "gptq_v2") return ZeroPointForm::kPacked;
    if (format.value_or("gptq") == "gptq") {
        return written_by_gptqmodel(quantization) ? ZeroPointForm::kMinusOneWord
                                                  : ZeroPointForm::kMinusOne;
    }
    return Status::error(Code::kUnsupported,
                         "checkpoint_format: expected gptq or gptq_v2, got \"%s\"",
                         printable(*format).c_str());
}

// Takes the fields that `source` has; the others stay those of `config`.
Result<QuantConfig> read_fields(const JsonValue& source, QuantConfig config) {
    TRY(const std::optional<int64_t> bits, source.integer_at("bits"));
    TRY(const std::optional<int64_t> group_size, source.integer_at("group_size"));
    TRY(const std::optional<bool> symmetric, source.boolean_at("sym"));
    TRY(const std::optional<bool> ordered, source.boolean_at("desc_act"));
    if (bits) {
        TRY(config.bits, supported_bits(*bits));
    }
    if (group_size) {
        TRY(config.group_size, supported_group_size(group_size));
    }
    if (symmetric) config.symmetry = *symmetric ? Symmetry::kSymmetric : Symmetry::kAsymmetric;
    if (ordered) config.order = *ordered ? Order::kGroup : Order::kNone;
    // With one group there is nothing to put in order.
    if (!config.group_size) config.order = Order::kNone;
    return config;
}

Result<QuantConfig> read_base(const JsonValue& quantization) {
    QuantConfig config;
    config.format = Format::kGptq;
    TRY(config.zero_point_form, read_form(quantization));
    for (const char* required : {"bits", "group_size"}) {
        if (quantization.find(required) == nullptr) {
            return Status::error(Code::kBadData, "%s: expected a number, got none", required);
        }
    }
    return read_fields(quantization, config);
}

// "+:" (or no mark): these modules differ; "-:": these are not quantised.
Status read_override(const JsonMember& member, const Result<QuantConfig>& base,
                     QuantSchemes& schemes) {
    std::string_view expression = member.name;
    const bool excludes = expression.starts_with("-:");
    if (excludes || expression.starts_with("+:")) expression.remove_prefix(2);
    Result<ModulePattern> pattern = ModulePattern::regex(expression);
    if (!pattern.ok()) return std::move(pattern.status()).within("dynamic");
    if (excludes) {
        schemes.add_exclusion(std::move(pattern).value());
        return {};
    }
    Result<QuantConfig> config = base;
    if (config.ok()) config = read_fields(member.value, config.value());
    schemes.add_rule(std::move(pattern).value(), schemes.add_scheme(member.name, config));
    return {};
}

}  // namespace

Result<QuantSchemes> parse_gptq(const JsonValue& quantization) {
    QuantSchemes schemes;
    const Result<QuantConfig> base = read_base(quantization);
    const size_t whole_model = schemes.add_scheme("gptq", base);
    if (const JsonValue* dynamic = quantization.find("dynamic")) {
        for (const JsonMember& member : dynamic->members) {
            TRY(read_override(member, base, schemes));
        }
    }
    schemes.add_rule(ModulePattern::linear(), whole_model);
    return schemes;
}

}  // namespace mmoe
