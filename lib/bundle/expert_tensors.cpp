// SPDX-License-Identifier: Apache-2.0
#include "bundle/expert_tensors.h"

#include <cmath>

#include "layout/number.h"

namespace mmoe {
namespace {

float element_as_f32(const TensorView& tensor, size_t index) noexcept {
    if (tensor.dtype == DType::kF32) return static_cast<const float*>(tensor.data)[index];
    const uint16_t bits = static_cast<const uint16_t*>(tensor.data)[index];
    return tensor.dtype == DType::kF16 ? layout::f16_to_f32(bits) : layout::bf16_to_f32(bits);
}

}  // namespace

ExpectedTensor ExpertForm::expected(Projection projection, Role role) const {
    if (!has(projection) || (role == Role::kBias && !layer_.bias)) return {};
    return expected_tensor(config_, layer_.outputs(projection), layer_.inputs(projection), role);
}

bool ExpertForm::required(Projection projection, Role role) const {
    const ExpectedTensor tensor = expected(projection, role);
    return tensor.rank != 0 && (tensor.required || role == Role::kBias);
}

Status ExpertForm::check(Projection projection, Role role, const TensorView& tensor) const {
    if (!has(projection)) return Status::error(Code::kInvalidArgument, "the layer has no gate");
    if (expected(projection, role).rank == 0) {
        return Status::error(Code::kInvalidArgument,
                             "%s: this quant config and layer have no such tensor",
                             role_name(role));
    }
    return check_tensor(config_, layer_.outputs(projection), layer_.inputs(projection), role,
                        tensor);
}

Status ExpertForm::check(Projection projection, const ExpertTensors& tensors) const {
    TRY(check_projection(config_, layer_.outputs(projection), layer_.inputs(projection),
                         tensors.projection(projection)));
    const TensorView& bias = tensors.at(projection, Role::kBias);
    if (!layer_.bias) return {};
    TRY(check(projection, Role::kBias, bias));
    TRY(read_bias(bias));
    return {};
}

std::optional<ExpertForm::Missing> ExpertForm::missing(const ExpertTensors& tensors) const {
    for (const Projection projection : kProjections) {
        for (const Role role : kRoles) {
            if (required(projection, role) && tensors.at(projection, role).absent()) {
                return Missing{projection, role};
            }
        }
    }
    return {};
}

std::vector<int32_t> ExpertForm::channels(const TensorView& down_group_index) const {
    if (config_.order != Order::kGroup || down_group_index.absent()) return {};
    return input_order(config_, layer_.intermediate_size, down_group_index);
}

Result<std::vector<float>> read_bias(const TensorView& bias) {
    std::vector<float> values(static_cast<size_t>(bias.shape[0]));
    for (size_t i = 0; i < values.size(); ++i) {
        values[i] = element_as_f32(bias, i);
        if (!std::isfinite(values[i])) {
            return Status::error(Code::kBadData, "bias: expected finite numbers, got %g at [%zu]",
                                 static_cast<double>(values[i]), i);
        }
    }
    return values;
}

}  // namespace mmoe
