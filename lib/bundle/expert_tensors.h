// SPDX-License-Identifier: Apache-2.0
// All tensors of one expert, by projection and role, wherever they come from.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "unpack/unpack.h"

namespace mmoe {

inline constexpr Projection kProjections[] = {Projection::kGate, Projection::kUp,
                                              Projection::kDown};
inline constexpr Role kRoles[] = {Role::kWeight, Role::kScale, Role::kZeroPoint, Role::kGroupIndex,
                                  Role::kBias};

// Views; absent where there is no tensor.
class ExpertTensors {
  public:
    [[nodiscard]] TensorView& at(Projection projection, Role role) noexcept {
        return views_[index(projection, role)];
    }
    [[nodiscard]] const TensorView& at(Projection projection, Role role) const noexcept {
        return views_[index(projection, role)];
    }
    [[nodiscard]] ProjectionTensors projection(Projection projection) const noexcept {
        return {at(projection, Role::kWeight), at(projection, Role::kScale),
                at(projection, Role::kZeroPoint), at(projection, Role::kGroupIndex)};
    }

    [[nodiscard]] static size_t index(Projection projection, Role role) noexcept {
        return static_cast<size_t>((static_cast<int>(projection) - 1) * 5 + static_cast<int>(role) -
                                   1);
    }
    static constexpr size_t kCount = 15;

  private:
    TensorView views_[kCount];
};

// What a layer's experts must have. Rank 0: no such tensor.
class ExpertForm {
  public:
    ExpertForm() = default;
    ExpertForm(const QuantConfig& config, const Layer& layer) : config_(config), layer_(layer) {}

    [[nodiscard]] bool has(Projection projection) const noexcept {
        return projection != Projection::kGate || layer_.gated();
    }
    [[nodiscard]] ExpectedTensor expected(Projection projection, Role role) const;
    [[nodiscard]] bool required(Projection projection, Role role) const;

    // Rank, shape and type of one tensor.
    Status check(Projection projection, Role role, const TensorView& tensor) const;
    // Everything about one projection, values included.
    Status check(Projection projection, const ExpertTensors& tensors) const;
    // The first required tensor that is absent, or none.
    struct Missing {
        Projection projection;
        Role role;
    };
    [[nodiscard]] std::optional<Missing> missing(const ExpertTensors& tensors) const;

    // Activation order of down, which gate and up rows follow; empty where there is none.
    [[nodiscard]] std::vector<int32_t> channels(const TensorView& down_group_index) const;

  private:
    QuantConfig config_;
    Layer layer_;
};

// A bias as fp32; refuses numbers that are not finite.
Result<std::vector<float>> read_bias(const TensorView& bias);

}  // namespace mmoe
