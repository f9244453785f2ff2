// SPDX-License-Identifier: Apache-2.0
// What an executor promises beyond the numbers, for any device: a token count of the device's own,
// the caller's workspace, rows asked for, what poll() tells.
#pragma once

#include "support/test_device.h"

namespace mmoe::parity {

void check_token_count(TestDevice& device);
void check_given_workspace(TestDevice& device);
void check_asked_rows(TestDevice& device);
void check_poll(TestDevice& device);

}  // namespace mmoe::parity
