// SPDX-License-Identifier: Apache-2.0
// The kernels of the AMX tier over emulated instructions, in a namespace of their own:
// emulated/cpu/amx.h is found before the real one.
#define amxbf16 amx_emulated
#include "cpu/amxbf16.cpp"
