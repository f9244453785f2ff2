// SPDX-License-Identifier: Apache-2.0
// The C boundary: how structures of another version are read and written, and how a Status or an
// exception becomes an mmoe_error.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "api/first_size.h"
#include "base/guard.h"
#include "base/status.h"
#include "marlin_moe.h"

namespace mmoe::api {

void fill_error(const Status& status, mmoe_error* error) noexcept;

// Runs the body of a C function: `body` returns Status.
template <class Body>
mmoe_status call(mmoe_error* error, Body&& body) noexcept {
    const Status status = guarded(std::forward<Body>(body));
    if (!status.ok()) fill_error(status, error);
    return static_cast<mmoe_status>(status.code());
}

Status require_not_null(const void* pointer, const char* name) noexcept;

// More than any structure will ever have: what an uninitialised `struct_size` usually exceeds.
inline constexpr uint32_t kLargestStructBytes = 1U << 16;
Status check_struct_size(const char* name, uint32_t size, size_t first_size) noexcept;
Status struct_has_unknown_members(const char* name, uint32_t size, size_t known) noexcept;

// Copies the caller's options. One smaller than the structure's first version is refused, a larger
// one must hold zeros in what we do not know.
template <class Options>
Status read_options(const Options* given, const char* name, Options* out) {
    static_assert(kFirstSize<Options> != 0, "api/first_size.h has no line for it");
    std::memset(out, 0, sizeof *out);
    if (given == nullptr) return {};
    const uint32_t size = given->struct_size;
    TRY(check_struct_size(name, size, kFirstSize<Options>));
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    for (size_t i = sizeof *out; i < size; ++i) {
        if (bytes[i] != 0) return struct_has_unknown_members(name, size, sizeof *out);
    }
    std::memcpy(out, given, std::min<size_t>(size, sizeof *out));
    return {};
}

// Checks a structure that is to be filled, before the work is done.
template <class Output>
Status check_output(const Output* given, const char* name) {
    static_assert(kFirstSize<Output> != 0, "api/first_size.h has no line for it");
    return check_struct_size(name, given->struct_size, kFirstSize<Output>);
}

// Fills it: as much as fits, zeros in what we do not know, `struct_size` as the caller set it.
template <class Output>
void write_output(Output value, Output* out) noexcept {
    const uint32_t size = out->struct_size;
    value.struct_size = size;
    std::memset(static_cast<void*>(out), 0, size);
    std::memcpy(static_cast<void*>(out), &value, std::min<size_t>(size, sizeof value));
}

// Cuts `text` to the caller's buffer; returns the bytes that the whole needs.
size_t copy_text(const char* text, size_t length, char* out, size_t capacity_bytes) noexcept;

}  // namespace mmoe::api
