/* SPDX-License-Identifier: Apache-2.0 */
/* One valid call of every function, any pointer of which can be replaced by NULL. */
#ifndef MMOE_TESTS_ABI_NULL_CALLS_H
#define MMOE_TESTS_ABI_NULL_CALLS_H

#include "abi/tiny_layer.h"

/* One call with NULL at pointer parameter `null_at`, counted from 0; -1: nowhere. */
struct Attempt {
    struct TinyLayer* tiny;
    int null_at;
    mmoe_error* error;
};

struct NullRow {
    const char* function;
    mmoe_status (*call)(const struct Attempt* attempt);
    const char* pointers; /* r: required, o: optional; in the order of the parameters */
};

/* Every function that takes a pointer. */
extern const struct NullRow kNullRows[];
extern const int kNullRowCount;

#endif
