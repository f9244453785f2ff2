// SPDX-License-Identifier: Apache-2.0
// Shape and arithmetic of one MoE layer as a value: the inside of mmoe_layer, defaults resolved.
#pragma once

#include <cstdint>
#include <limits>

#include "base/status.h"

namespace mmoe {

// Values of the enumerations of the public header with the same names.
enum class Activation : int32_t { kSilu = 0, kGelu = 1, kGeluTanh = 2, kRelu2 = 3, kSwigluOai = 4 };
enum class GateForm : int32_t { kSeparate = 0, kInterleaved = 1, kNone = 2 };
enum class Projection : int32_t { kGate = 1, kUp = 2, kDown = 3 };
enum class Role : int32_t { kWeight = 1, kScale = 2, kZeroPoint = 3, kGroupIndex = 4, kBias = 5 };

[[nodiscard]] const char* projection_name(Projection projection) noexcept;
[[nodiscard]] const char* role_name(Role role) noexcept;

struct Layer {
    int64_t expert_count = 0;       // E
    int64_t hidden_size = 0;        // H
    int64_t intermediate_size = 0;  // I
    Activation activation = Activation::kSilu;
    GateForm gate_form = GateForm::kSeparate;
    float alpha = 1.0F;
    float beta = 0.0F;
    float limit = std::numeric_limits<float>::infinity();
    bool bias = false;
    bool router_weight_on_input = false;

    [[nodiscard]] bool gated() const noexcept { return gate_form != GateForm::kNone; }
    [[nodiscard]] int64_t outputs(Projection projection) const noexcept {  // N
        return projection == Projection::kDown ? hidden_size : intermediate_size;
    }
    [[nodiscard]] int64_t inputs(Projection projection) const noexcept {  // K
        return projection == Projection::kDown ? intermediate_size : hidden_size;
    }
    [[nodiscard]] bool operator==(const Layer&) const noexcept = default;
};

}  // namespace mmoe
