/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from include/marlin_moe.h by bindings/generate.py.
 * The functions of the header, defined here to call the library that was opened. */
#include "trampolines.h"

#include <dlfcn.h>

#include <marlin_moe.h>

static __typeof__(&mmoe_version) go_mmoe_version;
static __typeof__(&mmoe_version_string) go_mmoe_version_string;
static __typeof__(&mmoe_build_describe) go_mmoe_build_describe;
static __typeof__(&mmoe_status_name) go_mmoe_status_name;
static __typeof__(&mmoe_device_count) go_mmoe_device_count;
static __typeof__(&mmoe_device_info) go_mmoe_device_info;
static __typeof__(&mmoe_context_create) go_mmoe_context_create;
static __typeof__(&mmoe_context_destroy) go_mmoe_context_destroy;
static __typeof__(&mmoe_quant_config_create) go_mmoe_quant_config_create;
static __typeof__(&mmoe_quant_config_load) go_mmoe_quant_config_load;
static __typeof__(&mmoe_quant_config_info) go_mmoe_quant_config_info;
static __typeof__(&mmoe_quant_config_destroy) go_mmoe_quant_config_destroy;
static __typeof__(&mmoe_checkpoint_open) go_mmoe_checkpoint_open;
static __typeof__(&mmoe_checkpoint_tensor_count) go_mmoe_checkpoint_tensor_count;
static __typeof__(&mmoe_checkpoint_tensor_at) go_mmoe_checkpoint_tensor_at;
static __typeof__(&mmoe_checkpoint_tensor_find) go_mmoe_checkpoint_tensor_find;
static __typeof__(&mmoe_checkpoint_tensor_read) go_mmoe_checkpoint_tensor_read;
static __typeof__(&mmoe_checkpoint_layer_count) go_mmoe_checkpoint_layer_count;
static __typeof__(&mmoe_checkpoint_layer_info) go_mmoe_checkpoint_layer_info;
static __typeof__(&mmoe_checkpoint_dequantize) go_mmoe_checkpoint_dequantize;
static __typeof__(&mmoe_checkpoint_destroy) go_mmoe_checkpoint_destroy;
static __typeof__(&mmoe_support_query) go_mmoe_support_query;
static __typeof__(&mmoe_bundle_plan) go_mmoe_bundle_plan;
static __typeof__(&mmoe_bundle_create) go_mmoe_bundle_create;
static __typeof__(&mmoe_bundle_set) go_mmoe_bundle_set;
static __typeof__(&mmoe_bundle_seal) go_mmoe_bundle_seal;
static __typeof__(&mmoe_bundle_load) go_mmoe_bundle_load;
static __typeof__(&mmoe_load_start) go_mmoe_load_start;
static __typeof__(&mmoe_load_poll) go_mmoe_load_poll;
static __typeof__(&mmoe_load_wait) go_mmoe_load_wait;
static __typeof__(&mmoe_load_cancel) go_mmoe_load_cancel;
static __typeof__(&mmoe_load_destroy) go_mmoe_load_destroy;
static __typeof__(&mmoe_bundle_save) go_mmoe_bundle_save;
static __typeof__(&mmoe_bundle_open) go_mmoe_bundle_open;
static __typeof__(&mmoe_bundle_info) go_mmoe_bundle_info;
static __typeof__(&mmoe_bundle_destroy) go_mmoe_bundle_destroy;
static __typeof__(&mmoe_executor_plan) go_mmoe_executor_plan;
static __typeof__(&mmoe_executor_create) go_mmoe_executor_create;
static __typeof__(&mmoe_executor_run) go_mmoe_executor_run;
static __typeof__(&mmoe_executor_explain) go_mmoe_executor_explain;
static __typeof__(&mmoe_executor_destroy) go_mmoe_executor_destroy;
static __typeof__(&mmoe_route) go_mmoe_route;

const char *marlin_moe_go_resolve(void *library) {
    *(void **)&go_mmoe_version = dlsym(library, "mmoe_version");
    if (go_mmoe_version == NULL) return "mmoe_version";
    *(void **)&go_mmoe_version_string = dlsym(library, "mmoe_version_string");
    if (go_mmoe_version_string == NULL) return "mmoe_version_string";
    *(void **)&go_mmoe_build_describe = dlsym(library, "mmoe_build_describe");
    if (go_mmoe_build_describe == NULL) return "mmoe_build_describe";
    *(void **)&go_mmoe_status_name = dlsym(library, "mmoe_status_name");
    if (go_mmoe_status_name == NULL) return "mmoe_status_name";
    *(void **)&go_mmoe_device_count = dlsym(library, "mmoe_device_count");
    if (go_mmoe_device_count == NULL) return "mmoe_device_count";
    *(void **)&go_mmoe_device_info = dlsym(library, "mmoe_device_info");
    if (go_mmoe_device_info == NULL) return "mmoe_device_info";
    *(void **)&go_mmoe_context_create = dlsym(library, "mmoe_context_create");
    if (go_mmoe_context_create == NULL) return "mmoe_context_create";
    *(void **)&go_mmoe_context_destroy = dlsym(library, "mmoe_context_destroy");
    if (go_mmoe_context_destroy == NULL) return "mmoe_context_destroy";
    *(void **)&go_mmoe_quant_config_create = dlsym(library, "mmoe_quant_config_create");
    if (go_mmoe_quant_config_create == NULL) return "mmoe_quant_config_create";
    *(void **)&go_mmoe_quant_config_load = dlsym(library, "mmoe_quant_config_load");
    if (go_mmoe_quant_config_load == NULL) return "mmoe_quant_config_load";
    *(void **)&go_mmoe_quant_config_info = dlsym(library, "mmoe_quant_config_info");
    if (go_mmoe_quant_config_info == NULL) return "mmoe_quant_config_info";
    *(void **)&go_mmoe_quant_config_destroy = dlsym(library, "mmoe_quant_config_destroy");
    if (go_mmoe_quant_config_destroy == NULL) return "mmoe_quant_config_destroy";
    *(void **)&go_mmoe_checkpoint_open = dlsym(library, "mmoe_checkpoint_open");
    if (go_mmoe_checkpoint_open == NULL) return "mmoe_checkpoint_open";
    *(void **)&go_mmoe_checkpoint_tensor_count = dlsym(library, "mmoe_checkpoint_tensor_count");
    if (go_mmoe_checkpoint_tensor_count == NULL) return "mmoe_checkpoint_tensor_count";
    *(void **)&go_mmoe_checkpoint_tensor_at = dlsym(library, "mmoe_checkpoint_tensor_at");
    if (go_mmoe_checkpoint_tensor_at == NULL) return "mmoe_checkpoint_tensor_at";
    *(void **)&go_mmoe_checkpoint_tensor_find = dlsym(library, "mmoe_checkpoint_tensor_find");
    if (go_mmoe_checkpoint_tensor_find == NULL) return "mmoe_checkpoint_tensor_find";
    *(void **)&go_mmoe_checkpoint_tensor_read = dlsym(library, "mmoe_checkpoint_tensor_read");
    if (go_mmoe_checkpoint_tensor_read == NULL) return "mmoe_checkpoint_tensor_read";
    *(void **)&go_mmoe_checkpoint_layer_count = dlsym(library, "mmoe_checkpoint_layer_count");
    if (go_mmoe_checkpoint_layer_count == NULL) return "mmoe_checkpoint_layer_count";
    *(void **)&go_mmoe_checkpoint_layer_info = dlsym(library, "mmoe_checkpoint_layer_info");
    if (go_mmoe_checkpoint_layer_info == NULL) return "mmoe_checkpoint_layer_info";
    *(void **)&go_mmoe_checkpoint_dequantize = dlsym(library, "mmoe_checkpoint_dequantize");
    if (go_mmoe_checkpoint_dequantize == NULL) return "mmoe_checkpoint_dequantize";
    *(void **)&go_mmoe_checkpoint_destroy = dlsym(library, "mmoe_checkpoint_destroy");
    if (go_mmoe_checkpoint_destroy == NULL) return "mmoe_checkpoint_destroy";
    *(void **)&go_mmoe_support_query = dlsym(library, "mmoe_support_query");
    if (go_mmoe_support_query == NULL) return "mmoe_support_query";
    *(void **)&go_mmoe_bundle_plan = dlsym(library, "mmoe_bundle_plan");
    if (go_mmoe_bundle_plan == NULL) return "mmoe_bundle_plan";
    *(void **)&go_mmoe_bundle_create = dlsym(library, "mmoe_bundle_create");
    if (go_mmoe_bundle_create == NULL) return "mmoe_bundle_create";
    *(void **)&go_mmoe_bundle_set = dlsym(library, "mmoe_bundle_set");
    if (go_mmoe_bundle_set == NULL) return "mmoe_bundle_set";
    *(void **)&go_mmoe_bundle_seal = dlsym(library, "mmoe_bundle_seal");
    if (go_mmoe_bundle_seal == NULL) return "mmoe_bundle_seal";
    *(void **)&go_mmoe_bundle_load = dlsym(library, "mmoe_bundle_load");
    if (go_mmoe_bundle_load == NULL) return "mmoe_bundle_load";
    *(void **)&go_mmoe_load_start = dlsym(library, "mmoe_load_start");
    if (go_mmoe_load_start == NULL) return "mmoe_load_start";
    *(void **)&go_mmoe_load_poll = dlsym(library, "mmoe_load_poll");
    if (go_mmoe_load_poll == NULL) return "mmoe_load_poll";
    *(void **)&go_mmoe_load_wait = dlsym(library, "mmoe_load_wait");
    if (go_mmoe_load_wait == NULL) return "mmoe_load_wait";
    *(void **)&go_mmoe_load_cancel = dlsym(library, "mmoe_load_cancel");
    if (go_mmoe_load_cancel == NULL) return "mmoe_load_cancel";
    *(void **)&go_mmoe_load_destroy = dlsym(library, "mmoe_load_destroy");
    if (go_mmoe_load_destroy == NULL) return "mmoe_load_destroy";
    *(void **)&go_mmoe_bundle_save = dlsym(library, "mmoe_bundle_save");
    if (go_mmoe_bundle_save == NULL) return "mmoe_bundle_save";
    *(void **)&go_mmoe_bundle_open = dlsym(library, "mmoe_bundle_open");
    if (go_mmoe_bundle_open == NULL) return "mmoe_bundle_open";
    *(void **)&go_mmoe_bundle_info = dlsym(library, "mmoe_bundle_info");
    if (go_mmoe_bundle_info == NULL) return "mmoe_bundle_info";
    *(void **)&go_mmoe_bundle_destroy = dlsym(library, "mmoe_bundle_destroy");
    if (go_mmoe_bundle_destroy == NULL) return "mmoe_bundle_destroy";
    *(void **)&go_mmoe_executor_plan = dlsym(library, "mmoe_executor_plan");
    if (go_mmoe_executor_plan == NULL) return "mmoe_executor_plan";
    *(void **)&go_mmoe_executor_create = dlsym(library, "mmoe_executor_create");
    if (go_mmoe_executor_create == NULL) return "mmoe_executor_create";
    *(void **)&go_mmoe_executor_run = dlsym(library, "mmoe_executor_run");
    if (go_mmoe_executor_run == NULL) return "mmoe_executor_run";
    *(void **)&go_mmoe_executor_explain = dlsym(library, "mmoe_executor_explain");
    if (go_mmoe_executor_explain == NULL) return "mmoe_executor_explain";
    *(void **)&go_mmoe_executor_destroy = dlsym(library, "mmoe_executor_destroy");
    if (go_mmoe_executor_destroy == NULL) return "mmoe_executor_destroy";
    *(void **)&go_mmoe_route = dlsym(library, "mmoe_route");
    if (go_mmoe_route == NULL) return "mmoe_route";
    return NULL;
}

uint32_t mmoe_version(void) {
    return go_mmoe_version();
}

const char* mmoe_version_string(void) {
    return go_mmoe_version_string();
}

size_t mmoe_build_describe(char* text, size_t capacity_bytes) {
    return go_mmoe_build_describe(text, capacity_bytes);
}

const char* mmoe_status_name(mmoe_status status) {
    return go_mmoe_status_name(status);
}

mmoe_status mmoe_device_count(mmoe_device_kind kind, uint32_t* count, mmoe_error* error) {
    return go_mmoe_device_count(kind, count, error);
}

mmoe_status mmoe_device_info(mmoe_device_kind kind, uint32_t index, mmoe_device_description* description, mmoe_error* error) {
    return go_mmoe_device_info(kind, index, description, error);
}

mmoe_status mmoe_context_create(const mmoe_context_options* options, mmoe_context** out, mmoe_error* error) {
    return go_mmoe_context_create(options, out, error);
}

void mmoe_context_destroy(mmoe_context* context) {
    go_mmoe_context_destroy(context);
}

mmoe_status mmoe_quant_config_create(const mmoe_quant_fields* fields, mmoe_quant_config** out, mmoe_error* error) {
    return go_mmoe_quant_config_create(fields, out, error);
}

mmoe_status mmoe_quant_config_load(const char* path, const char* module, mmoe_quant_config** out, mmoe_error* error) {
    return go_mmoe_quant_config_load(path, module, out, error);
}

mmoe_status mmoe_quant_config_info(const mmoe_quant_config* config, mmoe_quant_fields* fields, mmoe_error* error) {
    return go_mmoe_quant_config_info(config, fields, error);
}

void mmoe_quant_config_destroy(mmoe_quant_config* config) {
    go_mmoe_quant_config_destroy(config);
}

mmoe_status mmoe_checkpoint_open(mmoe_context* context, const char* path, const mmoe_checkpoint_options* options, mmoe_checkpoint** out, mmoe_error* error) {
    return go_mmoe_checkpoint_open(context, path, options, out, error);
}

uint64_t mmoe_checkpoint_tensor_count(const mmoe_checkpoint* checkpoint) {
    return go_mmoe_checkpoint_tensor_count(checkpoint);
}

mmoe_status mmoe_checkpoint_tensor_at(const mmoe_checkpoint* checkpoint, uint64_t index, mmoe_tensor_info* info, mmoe_error* error) {
    return go_mmoe_checkpoint_tensor_at(checkpoint, index, info, error);
}

mmoe_status mmoe_checkpoint_tensor_find(const mmoe_checkpoint* checkpoint, const char* name, mmoe_tensor_info* info, mmoe_error* error) {
    return go_mmoe_checkpoint_tensor_find(checkpoint, name, info, error);
}

mmoe_status mmoe_checkpoint_tensor_read(const mmoe_checkpoint* checkpoint, const char* name, void* data, size_t capacity_bytes, mmoe_error* error) {
    return go_mmoe_checkpoint_tensor_read(checkpoint, name, data, capacity_bytes, error);
}

uint32_t mmoe_checkpoint_layer_count(const mmoe_checkpoint* checkpoint) {
    return go_mmoe_checkpoint_layer_count(checkpoint);
}

mmoe_status mmoe_checkpoint_layer_info(const mmoe_checkpoint* checkpoint, uint32_t layer, mmoe_layer* info, mmoe_layer_place* place, mmoe_quant_config** config, mmoe_error* error) {
    return go_mmoe_checkpoint_layer_info(checkpoint, layer, info, place, config, error);
}

mmoe_status mmoe_checkpoint_dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer, uint32_t expert, mmoe_projection projection, float* weights, size_t weight_count, mmoe_error* error) {
    return go_mmoe_checkpoint_dequantize(checkpoint, layer, expert, projection, weights, weight_count, error);
}

void mmoe_checkpoint_destroy(mmoe_checkpoint* checkpoint) {
    go_mmoe_checkpoint_destroy(checkpoint);
}

mmoe_status mmoe_support_query(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, mmoe_support* support, mmoe_error* error) {
    return go_mmoe_support_query(context, config, layer, split, support, error);
}

mmoe_status mmoe_bundle_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_memory_plan* plan, mmoe_error* error) {
    return go_mmoe_bundle_plan(context, config, layer, options, plan, error);
}

mmoe_status mmoe_bundle_create(mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error) {
    return go_mmoe_bundle_create(context, config, layer, options, out, error);
}

mmoe_status mmoe_bundle_set(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection, mmoe_role role, const mmoe_tensor* tensor, mmoe_error* error) {
    return go_mmoe_bundle_set(bundle, expert, projection, role, tensor, error);
}

mmoe_status mmoe_bundle_seal(mmoe_bundle* bundle, mmoe_error* error) {
    return go_mmoe_bundle_seal(bundle, error);
}

mmoe_status mmoe_bundle_load(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error) {
    return go_mmoe_bundle_load(context, checkpoint, layer, options, out, error);
}

mmoe_status mmoe_load_start(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_load** out, mmoe_error* error) {
    return go_mmoe_load_start(context, checkpoint, layer, options, out, error);
}

mmoe_status mmoe_load_poll(const mmoe_load* load, mmoe_load_progress* progress, mmoe_error* error) {
    return go_mmoe_load_poll(load, progress, error);
}

mmoe_status mmoe_load_wait(mmoe_load* load, mmoe_bundle** out, mmoe_error* error) {
    return go_mmoe_load_wait(load, out, error);
}

void mmoe_load_cancel(mmoe_load* load) {
    go_mmoe_load_cancel(load);
}

void mmoe_load_destroy(mmoe_load* load) {
    go_mmoe_load_destroy(load);
}

mmoe_status mmoe_bundle_save(const mmoe_bundle* bundle, const char* path, mmoe_error* error) {
    return go_mmoe_bundle_save(bundle, path, error);
}

mmoe_status mmoe_bundle_open(mmoe_context* context, const char* path, const mmoe_bundle_open_options* options, mmoe_bundle** out, mmoe_error* error) {
    return go_mmoe_bundle_open(context, path, options, out, error);
}

mmoe_status mmoe_bundle_info(const mmoe_bundle* bundle, mmoe_layer* layer, mmoe_bundle_description* description, mmoe_error* error) {
    return go_mmoe_bundle_info(bundle, layer, description, error);
}

void mmoe_bundle_destroy(mmoe_bundle* bundle) {
    go_mmoe_bundle_destroy(bundle);
}

mmoe_status mmoe_executor_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_executor_options* options, mmoe_memory_plan* plan, mmoe_error* error) {
    return go_mmoe_executor_plan(context, config, layer, options, plan, error);
}

mmoe_status mmoe_executor_create(mmoe_context* context, const mmoe_bundle* bundle, const mmoe_executor_options* options, mmoe_executor** out, mmoe_error* error) {
    return go_mmoe_executor_create(context, bundle, options, out, error);
}

mmoe_status mmoe_executor_run(mmoe_executor* executor, const mmoe_bundle* bundle, const mmoe_run_args* args, void* stream, mmoe_error* error) {
    return go_mmoe_executor_run(executor, bundle, args, stream, error);
}

size_t mmoe_executor_explain(const mmoe_executor* executor, const mmoe_bundle* bundle, uint32_t tokens, char* text, size_t capacity_bytes) {
    return go_mmoe_executor_explain(executor, bundle, tokens, text, capacity_bytes);
}

void mmoe_executor_destroy(mmoe_executor* executor) {
    go_mmoe_executor_destroy(executor);
}

mmoe_status mmoe_route(const mmoe_context* context, const mmoe_route_args* args, void* stream, mmoe_error* error) {
    return go_mmoe_route(context, args, stream, error);
}
