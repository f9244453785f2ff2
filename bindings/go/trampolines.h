/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from include/marlin_moe.h by bindings/generate.py. */
#ifndef MARLIN_MOE_GO_TRAMPOLINES_H
#define MARLIN_MOE_GO_TRAMPOLINES_H

/* Resolves every function of the open library; returns the name of the first that is missing, or
 * NULL. Nothing else of the header may be called before. */
const char *marlin_moe_go_resolve(void *library);

#endif
