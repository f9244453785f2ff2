// SPDX-License-Identifier: Apache-2.0
// The form of an error sentence, for tables of bad input.
#pragma once

#include <cstring>

namespace mmoe::test {

// What was expected and what was got; or what the system refused, in its own words.
inline bool says_expected_and_got(const char* sentence) {
    const char* expected = std::strstr(sentence, "expected");
    if (expected != nullptr) return std::strstr(expected, "got ") != nullptr;
    return std::strstr(sentence, ": cannot ") != nullptr;
}

}  // namespace mmoe::test
