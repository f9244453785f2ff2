// SPDX-License-Identifier: Apache-2.0
#include "bundle/saved_header.h"

#include <cstring>

namespace mmoe {
namespace {

Status check_range(const char* name, int64_t value, int64_t last) {
    if (value >= 0 && value <= last) return {};
    return Status::error(Code::kBadData, "saved bundle: %s: expected 0 to %lld, got %lld", name,
                         static_cast<long long>(last), static_cast<long long>(value));
}

Status check_ranges(const SavedHeader& header) {
    TRY(check_range("format", header.format, static_cast<int>(kLastFormat)));
    TRY(check_range("symmetry", header.symmetry, static_cast<int>(Symmetry::kAsymmetric)));
    TRY(check_range("zero_point_form", header.zero_point_form,
                    static_cast<int>(kLastZeroPointForm)));
    TRY(check_range("order", header.order, static_cast<int>(Order::kGroup)));
    TRY(check_range("scale_type", header.scale_type, static_cast<int>(layout::ScaleType::kBf16)));
    TRY(check_range("activation", header.activation, static_cast<int>(Activation::kSwigluOai)));
    TRY(check_range("gate_form", header.gate_form, static_cast<int>(GateForm::kNone)));
    TRY(check_range("bias", header.bias, 1));
    return check_range("router_weight_on_input", header.router_weight_on_input, 1);
}

}  // namespace

SavedHeader describe_spec(const BundleSpec& spec, SavedLayout layout) noexcept {
    const auto& [config, layer, split, slot_count] = spec;
    SavedHeader header = {};
    std::memcpy(header.magic, kSavedMagic, sizeof header.magic);
    header.version = kSavedVersion;
    header.layout = static_cast<uint32_t>(layout);
    header.format = static_cast<int32_t>(config.format);
    header.bits = config.bits;
    header.group_size = config.group_size.value_or(-1);
    header.symmetry = static_cast<int32_t>(config.symmetry);
    header.zero_point_form = static_cast<int32_t>(config.zero_point_form);
    header.order = static_cast<int32_t>(config.order);
    header.scale_type = config.scale_type ? static_cast<int32_t>(*config.scale_type) : 0;
    header.layer_experts = static_cast<uint32_t>(layer.expert_count);
    header.hidden_size = static_cast<uint32_t>(layer.hidden_size);
    header.intermediate_size = static_cast<uint32_t>(layer.intermediate_size);
    header.activation = static_cast<int32_t>(layer.activation);
    header.gate_form = static_cast<int32_t>(layer.gate_form);
    header.alpha = layer.alpha;
    header.beta = layer.beta;
    header.limit = layer.limit;
    header.bias = layer.bias ? 1 : 0;
    header.router_weight_on_input = layer.router_weight_on_input ? 1 : 0;
    header.tensor_ranks = static_cast<uint32_t>(split.tensor_ranks);
    header.tensor_rank = static_cast<uint32_t>(split.tensor_rank);
    header.expert_ranks = static_cast<uint32_t>(split.expert_ranks);
    header.expert_rank = static_cast<uint32_t>(split.expert_rank);
    return header;
}

Result<BundleSpec> read_spec(const SavedHeader& header) {
    TRY(check_ranges(header));
    BundleSpec spec;
    spec.config.format = static_cast<Format>(header.format);
    spec.config.bits = header.bits;
    if (header.group_size != -1) spec.config.group_size = header.group_size;
    spec.config.symmetry = static_cast<Symmetry>(header.symmetry);
    spec.config.zero_point_form = static_cast<ZeroPointForm>(header.zero_point_form);
    spec.config.order = static_cast<Order>(header.order);
    if (header.scale_type != 0) {
        spec.config.scale_type = static_cast<layout::ScaleType>(header.scale_type);
    }
    if (Status status = validate(spec.config); !status.ok()) {
        return std::move(status).as(Code::kBadData).within("saved bundle");
    }
    if (header.layer_experts > kMaxSavedExperts) {
        return Status::error(Code::kLimit, "saved bundle: expected at most %u experts, got %u",
                             kMaxSavedExperts, header.layer_experts);
    }
    spec.layer.expert_count = header.layer_experts;
    spec.layer.hidden_size = header.hidden_size;
    spec.layer.intermediate_size = header.intermediate_size;
    spec.layer.activation = static_cast<Activation>(header.activation);
    spec.layer.gate_form = static_cast<GateForm>(header.gate_form);
    spec.layer.alpha = header.alpha;
    spec.layer.beta = header.beta;
    spec.layer.limit = header.limit;
    spec.layer.bias = header.bias != 0;
    spec.layer.router_weight_on_input = header.router_weight_on_input != 0;
    spec.split.tensor_ranks = header.tensor_ranks;
    spec.split.tensor_rank = header.tensor_rank;
    spec.split.expert_ranks = header.expert_ranks;
    spec.split.expert_rank = header.expert_rank;
    if (spec.split.tensor_ranks == 0 || spec.split.expert_ranks == 0) {
        return Status::error(Code::kBadData, "saved bundle: split: expected at least 1 rank");
    }
    return spec;
}

}  // namespace mmoe
