// SPDX-License-Identifier: Apache-2.0
// Turns exceptions into a Status: at the C boundary, and in tasks that run on other threads.
#pragma once

#include <exception>
#include <new>
#include <stdexcept>

#include "base/status.h"

namespace mmoe {

// `function` returns Status.
template <class Function>
Status guarded(Function&& function) noexcept {
    try {
        return function();
    } catch (const std::bad_alloc&) {
        return Status::error(Code::kOutOfMemory, "out of memory for a small table");
    } catch (const std::length_error&) {
        return Status::error(Code::kOutOfMemory, "a table would exceed the address space");
    } catch (const std::exception& unexpected) {
        return Status::error(Code::kInternal, "unexpected exception: %s", unexpected.what());
    } catch (...) {
        return Status::error(Code::kInternal, "unexpected exception of unknown type");
    }
}

}  // namespace mmoe
