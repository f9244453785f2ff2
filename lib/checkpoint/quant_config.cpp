// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/quant_config.h"

namespace mmoe {
namespace {

// `last` is the largest enumerator; all start at 0.
template <class Enum>
Status expect_enumerator(const char* what, Enum value, Enum last) {
    const auto number = static_cast<int32_t>(value);
    if (number >= 0 && number <= static_cast<int32_t>(last)) return {};
    return Status::error(Code::kInvalidArgument, "%s: expected 0 to %d, got %d", what,
                         static_cast<int32_t>(last), number);
}

Status expect_form_of_format(const QuantConfig& config) {
    const char* needs = nullptr;
    switch (config.zero_point_form) {
        case ZeroPointForm::kPacked:
            return {};
        case ZeroPointForm::kInt8:
            if (config.format == Format::kCompressedTensors && config.asymmetric()) return {};
            needs = "int8 zero points need asymmetric compressed-tensors";
            break;
        case ZeroPointForm::kMinusOne:
        case ZeroPointForm::kMinusOneWord:
            if (config.format == Format::kGptq) return {};
            needs = "zero points minus one need GPTQ";
            break;
    }
    return Status::error(Code::kInvalidArgument, "zero_point_form: %s, got %s %s", needs,
                         config.asymmetric() ? "asymmetric" : "symmetric",
                         format_name(config.format));
}

}  // namespace

const char* format_name(Format format) noexcept {
    switch (format) {
        case Format::kCompressedTensors:
            return "compressed-tensors";
        case Format::kGptq:
            return "GPTQ";
        case Format::kAwq:
            return "AWQ";
        case Format::kMarlin:
            return "Marlin";
    }
    return "unknown format";
}

Status validate(const QuantConfig& config) {
    TRY(expect_enumerator("format", config.format, Format::kMarlin));
    TRY(expect_enumerator("symmetry", config.symmetry, Symmetry::kAsymmetric));
    TRY(expect_enumerator("zero_point_form", config.zero_point_form, ZeroPointForm::kMinusOneWord));
    TRY(expect_enumerator("order", config.order, Order::kGroup));
    if (config.bits != 4 && config.bits != 8) {
        return Status::error(Code::kInvalidArgument, "bits: expected 4 or 8, got %d", config.bits);
    }
    if (config.group_size && *config.group_size <= 0) {
        return Status::error(Code::kInvalidArgument,
                             "group_size: expected a positive number or -1, got %d",
                             *config.group_size);
    }
    if (config.scale_type && *config.scale_type != layout::ScaleType::kF32 &&
        *config.scale_type != layout::ScaleType::kF16 &&
        *config.scale_type != layout::ScaleType::kBf16) {
        return Status::error(Code::kInvalidArgument,
                             "scale_dtype: expected F32, F16 or BF16, got %d",
                             static_cast<int>(*config.scale_type));
    }
    if (config.order == Order::kGroup && !config.group_size) {
        return Status::error(Code::kInvalidArgument,
                             "order: a group index needs a group size, got one scale a channel");
    }
    if (config.order == Order::kGroup && config.format == Format::kAwq) {
        return Status::error(Code::kInvalidArgument, "order: AWQ has no group index");
    }
    return expect_form_of_format(config);
}

std::string describe(const QuantConfig& config) {
    std::string text = std::string(format_name(config.format)) + " " + std::to_string(config.bits) +
                       "-bit " + (config.asymmetric() ? "asymmetric, " : "symmetric, ");
    text += config.group_size ? "group size " + std::to_string(*config.group_size)
                              : std::string("one scale a channel");
    if (config.order == Order::kGroup) text += ", group index";
    return text;
}

}  // namespace mmoe
