// SPDX-License-Identifier: Apache-2.0
// Tiers of processors for which none are written.
#include "cpu/tier.h"

namespace mmoe::cpu {

bool usable(Tier tier) {
    return tier == Tier::kScalar;
}

}  // namespace mmoe::cpu
