// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <cstdarg>
#include <cstdio>
#include <iterator>

namespace tool {
namespace {

// Values of the library's enums are small and start at `first`.
template <size_t Count>
std::string name_of(const char* const (&names)[Count], int32_t value, int32_t first) {
    const int64_t index = int64_t{value} - first;
    if (index < 0 || index >= static_cast<int64_t>(Count)) return std::to_string(value);
    return names[index];
}

}  // namespace

std::string format(const char* pattern, ...) {
    va_list arguments;
    va_start(arguments, pattern);
    va_list again;
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, pattern, arguments);
    va_end(arguments);
    std::string text(static_cast<size_t>(length < 0 ? 0 : length), '\0');
    std::vsnprintf(text.data(), text.size() + 1, pattern, again);
    va_end(again);
    return text;
}

std::string dtype_name(mmoe_dtype dtype) {
    static constexpr const char* kNames[] = {"f32", "f16", "bf16", "i32", "i64",
                                             "u8",  "i8",  "f64",  "i16"};
    return dtype == MMOE_DTYPE_OTHER ? "other" : name_of(kNames, dtype, MMOE_DTYPE_F32);
}

std::string activation_name(mmoe_activation value) {
    static constexpr const char* kNames[] = {"silu", "gelu", "gelu_tanh", "relu2", "swigluoai"};
    return name_of(kNames, value, MMOE_ACTIVATION_SILU);
}

std::string tier_name(mmoe_cpu_tier tier) {
    static constexpr const char* kNames[] = {"best", "scalar", "avx2", "avx512", "avx512bf16"};
    return name_of(kNames, tier, MMOE_CPU_TIER_BEST);
}

std::string byte_text(uint64_t bytes) {
    static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    return format(unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
}

std::string scheme_text(const mmoe_quant_fields& fields) {
    static constexpr const char* kFormats[] = {"compressed-tensors", "gptq", "awq"};
    const std::string group = fields.group_size == MMOE_GROUP_SIZE_CHANNEL
                                  ? "channel"
                                  : format("group %d", fields.group_size);
    return format("%s int%d %s %s%s",
                  name_of(kFormats, fields.format, MMOE_FORMAT_COMPRESSED_TENSORS).c_str(),
                  fields.bits, fields.symmetry == MMOE_ASYMMETRIC ? "asymmetric" : "symmetric",
                  group.c_str(), fields.order == MMOE_ORDER_GROUP ? " activation-ordered" : "");
}

std::string layer_text(const mmoe_layer& layer, uint32_t top_k) {
    return format("E%u k%u H%u I%u %s%s", layer.expert_count, top_k, layer.hidden_size,
                  layer.intermediate_size, activation_name(layer.activation).c_str(),
                  (layer.flags & MMOE_LAYER_BIAS) != 0 ? " biased" : "");
}

}  // namespace tool
