// SPDX-License-Identifier: Apache-2.0
// The C interface as the tool uses it: handles that end themselves, structures that know their
// size, and refusals as exceptions. Nothing here is needed to use the library from C++; it is
// how one C++ program chose to.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "marlin_moe.h"

namespace tool {

// The library refused a call. The text is the library's own sentence.
class Refusal : public std::runtime_error {
  public:
    explicit Refusal(const mmoe_error& error)
        : std::runtime_error(error.message), status_(error.status) {}
    [[nodiscard]] mmoe_status status() const { return status_; }

  private:
    mmoe_status status_;
};

// What was asked for makes no sense, beyond what the argument parser sees.
class UsageError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A zeroed structure with its size set, as the header's rule of option structures wants it.
template <class Struct>
Struct sized() {
    Struct structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

// call(mmoe_bundle_save, bundle, path): appends the error parameter and throws on refusal.
template <class Function, class... Arguments>
void call(Function function, Arguments... arguments) {
    auto error = sized<mmoe_error>();
    if (function(arguments..., &error) != MMOE_OK) throw Refusal(error);
}

struct Destroy {
    void operator()(mmoe_context* object) const { mmoe_context_destroy(object); }
    void operator()(mmoe_quant_config* object) const { mmoe_quant_config_destroy(object); }
    void operator()(mmoe_checkpoint* object) const { mmoe_checkpoint_destroy(object); }
    void operator()(mmoe_bundle* object) const { mmoe_bundle_destroy(object); }
    void operator()(mmoe_executor* object) const { mmoe_executor_destroy(object); }
};

template <class Object>
using Handle = std::unique_ptr<Object, Destroy>;
using Context = Handle<mmoe_context>;
using QuantConfig = Handle<mmoe_quant_config>;
using Checkpoint = Handle<mmoe_checkpoint>;
using Bundle = Handle<mmoe_bundle>;
using Executor = Handle<mmoe_executor>;

// make<mmoe_context>(mmoe_context_create, &options): appends `out` and the error parameter.
template <class Object, class Function, class... Arguments>
Handle<Object> make(Function function, Arguments... arguments) {
    Object* object = nullptr;
    call(function, arguments..., &object);
    return Handle<Object>(object);
}

}  // namespace tool
