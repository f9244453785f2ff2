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
    // Tensor ranks, not above those asked for, that work; 0 where the layer itself cannot run.
    int64_t most_tensor_ranks = 0;
    // What this rank would hold; all 0 if it is not supported.
    int64_t local_intermediate = 0;
    int64_t padded_intermediate = 0;  // as kept on the device
    int64_t down_group_size = 0;      // smaller than the file's where groups straddle ranks
};

Support query_support(DeviceKind device, const BundleSpec& spec);

// Success, or kUnsupported with the query's sentence.
Status require_support(DeviceKind device, const BundleSpec& spec);

}  // namespace mmoe
