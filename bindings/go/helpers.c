/* SPDX-License-Identifier: Apache-2.0 */
#include "helpers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

char *marlin_moe_go_open(const char *name) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return strdup(dlerror());
    const char *missing = marlin_moe_go_resolve(library);
    if (missing == NULL) return NULL;
    char text[256];
    snprintf(text, sizeof text, "%s: %s is missing: the library is older than this package", name,
             missing);
    dlclose(library);
    return strdup(text);
}

static void log_line(void *user, mmoe_log_level level, const char *line) {
    marlinMoeLog((uintptr_t)user, level, (char *)line);
}

mmoe_status marlin_moe_go_context_create(mmoe_context_options options, uintptr_t log,
                                         mmoe_context **out, mmoe_error *error) {
    if (log != 0) {
        options.log = log_line;
        options.log_user = (void *)log;
    }
    return go_mmoe_context_create(&options, out, error);
}

static int32_t report_progress(void *user, uint64_t done_bytes, uint64_t total_bytes) {
    return marlinMoeProgress((uintptr_t)user, done_bytes, total_bytes);
}

mmoe_status marlin_moe_go_bundle_load(mmoe_context *context, const mmoe_checkpoint *checkpoint,
                                      uint32_t layer, mmoe_bundle_options options, uintptr_t progress,
                                      mmoe_bundle **out, mmoe_error *error) {
    if (progress != 0) {
        options.progress = report_progress;
        options.progress_user = (void *)progress;
    }
    return go_mmoe_bundle_load(context, checkpoint, layer, &options, out, error);
}

static mmoe_tensor matrix(void *data, mmoe_dtype dtype, int64_t rows, int64_t columns) {
    return (mmoe_tensor){.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
}

mmoe_status marlin_moe_go_bundle_set(mmoe_bundle *bundle, uint32_t expert, mmoe_projection projection,
                                     mmoe_role role, void *data, mmoe_dtype dtype, int64_t rows,
                                     int64_t columns, mmoe_error *error) {
    mmoe_tensor tensor = matrix(data, dtype, rows, columns);
    if (columns == 0) { /* a vector: biases, group indices */
        tensor.rank = 1;
    }
    return go_mmoe_bundle_set(bundle, expert, projection, role, &tensor, error);
}

mmoe_status marlin_moe_go_run(mmoe_executor *executor, const mmoe_bundle *bundle,
                              struct marlin_moe_go_shape shape, void *hidden, void *expert_ids,
                              void *expert_weights, void *expert_map, void *output,
                              mmoe_error *error) {
    mmoe_run_args args = {.struct_size = sizeof args};
    args.hidden = matrix(hidden, shape.hidden_dtype, shape.tokens, shape.hidden_size);
    args.expert_ids = matrix(expert_ids, MMOE_DTYPE_I32, shape.tokens, shape.top_k);
    args.expert_weights = matrix(expert_weights, MMOE_DTYPE_F32, shape.tokens, shape.top_k);
    args.output = matrix(output, shape.output_dtype, shape.tokens, shape.hidden_size);
    if (expert_map != NULL) {
        args.expert_map = (mmoe_tensor){
            .data = expert_map, .dtype = MMOE_DTYPE_I32, .rank = 1, .shape = {shape.map_size}};
    }
    return go_mmoe_executor_run(executor, bundle, &args, NULL, error);
}

mmoe_status marlin_moe_go_route(const mmoe_context *context, mmoe_route_args args,
                                struct marlin_moe_go_route_shape shape, void *logits,
                                void *correction_bias, void *expert_ids, void *expert_weights,
                                mmoe_error *error) {
    args.logits = matrix(logits, shape.logits_dtype, shape.tokens, shape.experts);
    args.expert_ids = matrix(expert_ids, MMOE_DTYPE_I32, shape.tokens, shape.top_k);
    args.expert_weights = matrix(expert_weights, MMOE_DTYPE_F32, shape.tokens, shape.top_k);
    if (correction_bias != NULL) {
        args.correction_bias = (mmoe_tensor){
            .data = correction_bias, .dtype = MMOE_DTYPE_F32, .rank = 1, .shape = {shape.experts}};
    }
    return go_mmoe_route(context, &args, NULL, error);
}
