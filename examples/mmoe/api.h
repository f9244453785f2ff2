// SPDX-License-Identifier: Apache-2.0
// The library's C interface as C++ wants it: handles with owners, failures as exceptions.
#pragma once

#include <marlin_moe.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace mmoe_tool {

// The library said no: its status and its sentence.
class Refused : public std::runtime_error {
  public:
    explicit Refused(const mmoe_error& error)
        : std::runtime_error(std::string(mmoe_status_name(error.status)) + ": " + error.message),
          status_(error.status) {}
    [[nodiscard]] mmoe_status status() const { return status_; }

  private:
    mmoe_status status_;
};

struct Destroy {
    void operator()(mmoe_context* handle) const { mmoe_context_destroy(handle); }
    void operator()(mmoe_quant_config* handle) const { mmoe_quant_config_destroy(handle); }
    void operator()(mmoe_checkpoint* handle) const { mmoe_checkpoint_destroy(handle); }
    void operator()(mmoe_bundle* handle) const { mmoe_bundle_destroy(handle); }
    void operator()(mmoe_executor* handle) const { mmoe_executor_destroy(handle); }
};
template <class Handle>
using Owned = std::unique_ptr<Handle, Destroy>;

// A zeroed option or description structure that knows its size.
template <class Struct>
Struct sized() {
    Struct value{};
    value.struct_size = sizeof value;
    return value;
}

// call(f, a, b) is f(a, b, &error), or throws.
template <class... Parameters, class... Arguments>
void call(mmoe_status (*function)(Parameters...), Arguments... arguments) {
    auto error = sized<mmoe_error>();
    if (function(arguments..., &error) != MMOE_OK) throw Refused(error);
}

// make<mmoe_bundle>(f, a, b) is the handle that f(a, b, &out, &error) creates, or throws.
template <class Handle, class... Parameters, class... Arguments>
Owned<Handle> make(mmoe_status (*function)(Parameters...), Arguments... arguments) {
    Handle* handle = nullptr;
    call(function, arguments..., &handle);
    return Owned<Handle>(handle);
}

}  // namespace mmoe_tool
