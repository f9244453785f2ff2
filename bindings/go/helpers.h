/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose structures hold pointers. Go may not store pointers to its memory in a structure
 * that it passes to C, so these take them one by one and build the structure on the C stack. */
#ifndef MARLIN_MOE_GO_HELPERS_H
#define MARLIN_MOE_GO_HELPERS_H

#include "trampolines.h"

/* Opens the library; returns NULL, or why not. The text is freed by the caller. */
char *marlin_moe_go_open(const char *name);

/* `log` and `progress` are handles of Go values, 0 for none. */
mmoe_status marlin_moe_go_context_create(mmoe_context_options options, uintptr_t log,
                                         mmoe_context **out, mmoe_error *error);
mmoe_status marlin_moe_go_bundle_load(mmoe_context *context, const mmoe_checkpoint *checkpoint,
                                      uint32_t layer, mmoe_bundle_options options, uintptr_t progress,
                                      mmoe_bundle **out, mmoe_error *error);

mmoe_status marlin_moe_go_bundle_set(mmoe_bundle *bundle, uint32_t expert, mmoe_projection projection,
                                     mmoe_role role, void *data, mmoe_dtype dtype, int64_t rows,
                                     int64_t columns, mmoe_error *error);

struct marlin_moe_go_shape {
    int64_t tokens, top_k, hidden_size, map_size;
    mmoe_dtype hidden_dtype, output_dtype;
};
mmoe_status marlin_moe_go_run(mmoe_executor *executor, const mmoe_bundle *bundle,
                              struct marlin_moe_go_shape shape, void *hidden, void *expert_ids,
                              void *expert_weights, void *expert_map, void *output,
                              mmoe_error *error);

struct marlin_moe_go_route_shape {
    int64_t tokens, experts, top_k;
    mmoe_dtype logits_dtype;
};
/* `args` comes without its tensors; `correction_bias` may be NULL. */
mmoe_status marlin_moe_go_route(const mmoe_context *context, mmoe_route_args args,
                                struct marlin_moe_go_route_shape shape, void *logits,
                                void *correction_bias, void *expert_ids, void *expert_weights,
                                mmoe_error *error);

#endif
