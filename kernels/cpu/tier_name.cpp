// SPDX-License-Identifier: Apache-2.0
#include "cpu/launch.h"

namespace mmoe::cpu {

const char* tier_name(Tier tier) {
    switch (tier) {
        case Tier::kAvx2:
            return "avx2";
        case Tier::kAvx512:
            return "avx512";
        case Tier::kAvx512Bf16:
            return "avx512bf16";
        default:
            return "scalar";
    }
}

}  // namespace mmoe::cpu
