// SPDX-License-Identifier: Apache-2.0
// Which tiers a 64-bit ARM processor and the operating system support.
#include "cpu/tier.h"

#if defined(__linux__)
    #include <asm/hwcap.h>
    #include <sys/auxv.h>
#endif

namespace mmoe::cpu {
namespace {

struct Features {
    bool dot = false;
    bool bf16 = false;
};

Features detect() {
    Features features;
#if defined(__linux__)
    features.dot = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    features.bf16 = (getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0;
#endif
    return features;
}

}  // namespace

bool usable(Tier tier) {
    static const Features features = detect();
    switch (tier) {
        case Tier::kScalar:
        case Tier::kNeon:
            return true;
        case Tier::kNeonDot:
            return features.dot;
        case Tier::kNeonBf16:
            return features.dot && features.bf16;
        default:
            return false;
    }
}

}  // namespace mmoe::cpu
