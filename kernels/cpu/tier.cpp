// SPDX-License-Identifier: Apache-2.0
#include "cpu/tier.h"

namespace mmoe::cpu {
namespace {

const TierInfo& info_of(Tier tier) {
    for (const TierInfo& known : kTiers) {
        if (known.tier == tier) return known;
    }
    return kTiers[0];
}

}  // namespace

const char* tier_name(Tier tier) {
    return info_of(tier).name;
}

bool includes(Tier whole, Tier part) {
    while (whole != part && whole != Tier::kScalar) whole = info_of(whole).base;
    return whole == part;
}

Tier usable_tier() {
    for (const TierInfo& known : kTiers) {
        if (usable(known.tier)) return known.tier;
    }
    return Tier::kScalar;
}

}  // namespace mmoe::cpu
