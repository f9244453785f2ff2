// SPDX-License-Identifier: Apache-2.0
// Tests that can go on for long do so when MMOE_NIGHTLY is set: tests/reliability.sh sets it.
#pragma once

#include <cstdlib>

namespace mmoe::fault {

template <class T>
T nightly_or(T nightly, T otherwise) {
    return std::getenv("MMOE_NIGHTLY") != nullptr ? nightly : otherwise;
}

}  // namespace mmoe::fault
