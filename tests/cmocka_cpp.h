// SPDX-License-Identifier: Apache-2.0
// cmocka for C++ tests. Include it last: its macros have short names.
#pragma once

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

// clang-format off
extern "C" {
#include <setjmp.h>  // cmocka.h wants these names in the global namespace
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
}
// clang-format on
