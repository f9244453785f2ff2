// SPDX-License-Identifier: Apache-2.0
// AWQ: one scheme for the model and a list of modules that were left alone.
#include "checkpoint/quant_schemes.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

std::string lower_case(std::string text) {
    for (char& c : text) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return text;
}

Status expect_gemm(const JsonValue& quantization) {
    TRY(std::optional<std::string> version, quantization.text_at("version"));
    if (!version) {
        TRY(version, quantization.text_at("checkpoint_format"));  // GPTQModel's word for it
    }
    if (lower_case(version.value_or("gemm")) == "gemm") return {};
    return Status::error(Code::kUnsupported, "version: expected gemm, got \"%s\"",
                         printable(*version).c_str());
}

// AutoAWQ's own files say w_bit and q_group_size.
Result<std::optional<int64_t>> integer_of(const JsonValue& quantization, const char* name,
                                          const char* older_name) {
    TRY(const std::optional<int64_t> value, quantization.integer_at(name));
    if (value) return value;
    return quantization.integer_at(older_name);
}

Result<QuantConfig> read_scheme(const JsonValue& quantization) {
    TRY(expect_gemm(quantization));
    TRY(const std::optional<int64_t> bits, integer_of(quantization, "bits", "w_bit"));
    TRY(const std::optional<int64_t> group_size,
        integer_of(quantization, "group_size", "q_group_size"));
    TRY(const std::optional<bool> zero_point, quantization.boolean_at("zero_point"));
    if (!bits) return Status::error(Code::kBadData, "bits: expected 4 or 8, got none");
    if (!group_size)
        return Status::error(Code::kBadData,
                             "group_size: expected a positive number or -1, got none");
    if (!zero_point.value_or(true)) {
        return Status::error(Code::kUnsupported, "zero_point: expected true, got false");
    }
    QuantConfig config;
    config.format = Format::kAwq;
    config.symmetry = Symmetry::kAsymmetric;
    TRY(config.bits, supported_bits(*bits));
    TRY(config.group_size, supported_group_size(group_size));
    return config;
}

}  // namespace

Result<QuantSchemes> parse_awq(const JsonValue& quantization) {
    QuantSchemes schemes;
    if (const JsonValue* skipped = quantization.find("modules_to_not_convert")) {
        if (!skipped->is(JsonValue::Kind::kArray)) {
            return wrong_kind("modules_to_not_convert", "a list of strings", skipped);
        }
        for (const JsonValue& item : skipped->items) {
            if (!item.is(JsonValue::Kind::kString)) {
                return wrong_kind("modules_to_not_convert[]", "a string", &item);
            }
            schemes.add_exclusion(ModulePattern::part(item.text));
        }
    }
    schemes.add_rule(ModulePattern::linear(), schemes.add_scheme("awq", read_scheme(quantization)));
    return schemes;
}

}  // namespace mmoe
