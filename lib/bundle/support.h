// SPDX-License-Identifier: Apache-2.0
// What can run: the one place that decides, before anything is loaded. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "bundle/spec.h"
#include "device/context.h"

namespace mmoe {

// Values of the MMOE_REASON_* bits.
enum Reason : uint64_t {
    kReasonBits = 1 << 0,
    kReasonGroupSize = 1 << 1,
    kReasonFormat = 1 << 2,
    kReasonOrder = 1 << 3,
    kReasonActivation = 1 << 4,
    kReasonSplit = 1 << 5,
    kReasonDevice = 1 << 6,
    kReasonShape = 1 << 7,
    kReasonRouterWeight = 1 << 8,
    kReasonBias = 1 << 9,
};

struct Support {
    uint64_t reasons = 0;  // 0: supported
    std::string sentence;  // one clause a reason
    std::string remedy;    // the smallest change that helps; empty if there is none
};

Support query_support(DeviceKind device, const BundleSpec& spec);

// Success, or kUnsupported with the query's sentence.
Status require_support(DeviceKind device, const BundleSpec& spec);

}  // namespace mmoe
