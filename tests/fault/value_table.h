// SPDX-License-Identifier: Apache-2.0
// Holds a device to the table of values (value_cases.h): what is refused, what is answered, and
// that a bad token harms no other.
#pragma once

#include <span>

#include "fault/value_cases.h"
#include "marlin_moe.h"
#include "support/test_device.h"

namespace mmoe::fault {

struct ValueMode {
    mmoe_precision precision;
    mmoe_dtype hidden_dtype;
    double tolerance;  // of a token's relative error
};

// Fails with the name of the row; prints how many there were.
void check_value_table(TestDevice& device, std::span<const ValueMode> modes);

}  // namespace mmoe::fault
