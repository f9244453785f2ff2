// SPDX-License-Identifier: Apache-2.0
// MMOE_UNROLL before a loop of few and constant rounds: all of them are written out, so that
// arrays indexed by its counter become registers.
#pragma once

#ifdef __clang__
    #define MMOE_UNROLL _Pragma("unroll")
#else
    #define MMOE_UNROLL _Pragma("GCC unroll 16")
#endif
