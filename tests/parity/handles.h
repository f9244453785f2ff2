// SPDX-License-Identifier: Apache-2.0
// The library's objects for tests in C++, and failures that name the case.
#pragma once

#include <memory>
#include <string>

#include "marlin_moe.h"

#include "cmocka_cpp.h"

namespace mmoe::parity {

struct Destroy {
    void operator()(mmoe_context* p) const { mmoe_context_destroy(p); }
    void operator()(mmoe_quant_config* p) const { mmoe_quant_config_destroy(p); }
    void operator()(mmoe_checkpoint* p) const { mmoe_checkpoint_destroy(p); }
    void operator()(mmoe_bundle* p) const { mmoe_bundle_destroy(p); }
    void operator()(mmoe_executor* p) const { mmoe_executor_destroy(p); }
    void operator()(mmoe_load* p) const { mmoe_load_destroy(p); }
};
template <class T>
using Handle = std::unique_ptr<T, Destroy>;

// Where a call says why it failed; the test then fails with those words.
struct Error {
    std::string name;  // of the case
    mmoe_error value{};

    void expect_ok(mmoe_status status, const char* step) {
        if (status != MMOE_OK) fail_msg("%s: %s: %s", name.c_str(), step, value.message);
    }
};

// A zeroed structure that knows its size.
template <class T>
T sized() {
    T structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

}  // namespace mmoe::parity
