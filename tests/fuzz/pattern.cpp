// SPDX-License-Identifier: Apache-2.0
// Input: an expression, a newline, a name. What is accepted is matched in bounded time; the
// fuzzer's own limit finds what is not.
#include <string>

#include "checkpoint/pattern.h"
#include "target.h"

using namespace mmoe;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text = fuzz::as_text(data, size);
    const size_t end = text.find('\n');
    auto pattern = Pattern::compile(text.substr(0, end));
    if (!pattern.ok()) {
        fuzz::require_sentence(pattern.status());
        return 0;
    }
    const std::string_view name = end == std::string_view::npos ? "" : text.substr(end + 1);
    uint64_t steps = 0;
    const bool matches = pattern.value().matches(name, &steps);
    fuzz::require(steps <= (name.size() + 1) * (4 * text.size() + 2));
    // Whatever else it means: one more alternative can only match more.
    auto wider = Pattern::compile(std::string(text.substr(0, end)) + "|\\d");
    if (wider.ok()) fuzz::require(!matches || wider.value().matches(name, &steps));
    return 0;
}
