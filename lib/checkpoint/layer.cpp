// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/layer.h"

namespace mmoe {

const char* projection_name(Projection projection) noexcept {
    switch (projection) {
        case Projection::kGate:
            return "gate_proj";
        case Projection::kUp:
            return "up_proj";
        case Projection::kDown:
            return "down_proj";
    }
    return "unknown projection";
}

const char* role_name(Role role) noexcept {
    switch (role) {
        case Role::kWeight:
            return "weight";
        case Role::kScale:
            return "scale";
        case Role::kZeroPoint:
            return "zero point";
        case Role::kGroupIndex:
            return "group index";
        case Role::kBias:
            return "bias";
    }
    return "unknown role";
}

}  // namespace mmoe
