/* SPDX-License-Identifier: Apache-2.0 */
/* What the public header declares, as tables that tests/abi/header.py generates from its text. */
#ifndef MMOE_TESTS_ABI_TABLES_H
#define MMOE_TESTS_ABI_TABLES_H

#include "marlin_moe.h"

struct AbiFunction {
    const char* name;
    void (*address)(void);
    int pointer_count; /* pointer parameters but for the trailing error */
};

struct AbiNumber {
    const char* name; /* "mmoe_split": its size; "mmoe_split.tensor_rank": its offset; a constant */
    long long value;
};

#include "abi_tables.inc"

enum {
    kFunctionCount = sizeof kFunctions / sizeof *kFunctions,
    kNumberCount = sizeof kNumbers / sizeof *kNumbers
};

#endif
