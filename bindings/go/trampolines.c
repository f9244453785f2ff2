/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from include/marlin_moe.h by bindings/generate.py. */
#include "trampolines.h"

#include <dlfcn.h>

static __typeof__(&mmoe_version) at_mmoe_version;
static __typeof__(&mmoe_version_string) at_mmoe_version_string;
static __typeof__(&mmoe_build_describe) at_mmoe_build_describe;
static __typeof__(&mmoe_status_name) at_mmoe_status_name;
static __typeof__(&mmoe_device_count) at_mmoe_device_count;
static __typeof__(&mmoe_device_info) at_mmoe_device_info;
static __typeof__(&mmoe_context_create) at_mmoe_context_create;
static __typeof__(&mmoe_context_info) at_mmoe_context_info;
static __typeof__(&mmoe_context_destroy) at_mmoe_context_destroy;
static __typeof__(&mmoe_quant_config_create) at_mmoe_quant_config_create;
static __typeof__(&mmoe_quant_config_load) at_mmoe_quant_config_load;
static __typeof__(&mmoe_quant_config_info) at_mmoe_quant_config_info;
static __typeof__(&mmoe_quant_config_destroy) at_mmoe_quant_config_destroy;
static __typeof__(&mmoe_checkpoint_open) at_mmoe_checkpoint_open;
static __typeof__(&mmoe_checkpoint_tensor_count) at_mmoe_checkpoint_tensor_count;
static __typeof__(&mmoe_checkpoint_tensor_at) at_mmoe_checkpoint_tensor_at;
static __typeof__(&mmoe_checkpoint_tensor_find) at_mmoe_checkpoint_tensor_find;
static __typeof__(&mmoe_checkpoint_tensor_read) at_mmoe_checkpoint_tensor_read;
static __typeof__(&mmoe_checkpoint_layer_count) at_mmoe_checkpoint_layer_count;
static __typeof__(&mmoe_checkpoint_layer_info) at_mmoe_checkpoint_layer_info;
static __typeof__(&mmoe_checkpoint_dequantize) at_mmoe_checkpoint_dequantize;
static __typeof__(&mmoe_checkpoint_destroy) at_mmoe_checkpoint_destroy;
static __typeof__(&mmoe_support_query) at_mmoe_support_query;
static __typeof__(&mmoe_bundle_plan) at_mmoe_bundle_plan;
static __typeof__(&mmoe_bundle_create) at_mmoe_bundle_create;
static __typeof__(&mmoe_bundle_set) at_mmoe_bundle_set;
static __typeof__(&mmoe_bundle_seal) at_mmoe_bundle_seal;
static __typeof__(&mmoe_bundle_load) at_mmoe_bundle_load;
static __typeof__(&mmoe_bundle_put) at_mmoe_bundle_put;
static __typeof__(&mmoe_bundle_put_from) at_mmoe_bundle_put_from;
static __typeof__(&mmoe_bundle_evict) at_mmoe_bundle_evict;
static __typeof__(&mmoe_load_start) at_mmoe_load_start;
static __typeof__(&mmoe_load_poll) at_mmoe_load_poll;
static __typeof__(&mmoe_load_wait) at_mmoe_load_wait;
static __typeof__(&mmoe_load_cancel) at_mmoe_load_cancel;
static __typeof__(&mmoe_load_destroy) at_mmoe_load_destroy;
static __typeof__(&mmoe_bundle_save) at_mmoe_bundle_save;
static __typeof__(&mmoe_bundle_open) at_mmoe_bundle_open;
static __typeof__(&mmoe_bundle_info) at_mmoe_bundle_info;
static __typeof__(&mmoe_bundle_destroy) at_mmoe_bundle_destroy;
static __typeof__(&mmoe_executor_plan) at_mmoe_executor_plan;
static __typeof__(&mmoe_executor_create) at_mmoe_executor_create;
static __typeof__(&mmoe_executor_run) at_mmoe_executor_run;
static __typeof__(&mmoe_executor_poll) at_mmoe_executor_poll;
static __typeof__(&mmoe_executor_explain) at_mmoe_executor_explain;
static __typeof__(&mmoe_executor_destroy) at_mmoe_executor_destroy;
static __typeof__(&mmoe_route) at_mmoe_route;
static __typeof__(&mmoe_marlin_describe) at_mmoe_marlin_describe;
static __typeof__(&mmoe_marlin_pack) at_mmoe_marlin_pack;
static __typeof__(&mmoe_marlin_enqueue_pack) at_mmoe_marlin_enqueue_pack;
static __typeof__(&mmoe_marlin_unpack) at_mmoe_marlin_unpack;
static __typeof__(&mmoe_marlin_describe_experts) at_mmoe_marlin_describe_experts;
static __typeof__(&mmoe_marlin_export) at_mmoe_marlin_export;
static __typeof__(&mmoe_marlin_import) at_mmoe_marlin_import;

const char *marlin_moe_go_resolve(void *library) {
    *(void **)&at_mmoe_version = dlsym(library, "mmoe_version");
    if (at_mmoe_version == NULL) return "mmoe_version";
    *(void **)&at_mmoe_version_string = dlsym(library, "mmoe_version_string");
    if (at_mmoe_version_string == NULL) return "mmoe_version_string";
    *(void **)&at_mmoe_build_describe = dlsym(library, "mmoe_build_describe");
    if (at_mmoe_build_describe == NULL) return "mmoe_build_describe";
    *(void **)&at_mmoe_status_name = dlsym(library, "mmoe_status_name");
    if (at_mmoe_status_name == NULL) return "mmoe_status_name";
    *(void **)&at_mmoe_device_count = dlsym(library, "mmoe_device_count");
    if (at_mmoe_device_count == NULL) return "mmoe_device_count";
    *(void **)&at_mmoe_device_info = dlsym(library, "mmoe_device_info");
    if (at_mmoe_device_info == NULL) return "mmoe_device_info";
    *(void **)&at_mmoe_context_create = dlsym(library, "mmoe_context_create");
    if (at_mmoe_context_create == NULL) return "mmoe_context_create";
    *(void **)&at_mmoe_context_info = dlsym(library, "mmoe_context_info");
    if (at_mmoe_context_info == NULL) return "mmoe_context_info";
    *(void **)&at_mmoe_context_destroy = dlsym(library, "mmoe_context_destroy");
    if (at_mmoe_context_destroy == NULL) return "mmoe_context_destroy";
    *(void **)&at_mmoe_quant_config_create = dlsym(library, "mmoe_quant_config_create");
    if (at_mmoe_quant_config_create == NULL) return "mmoe_quant_config_create";
    *(void **)&at_mmoe_quant_config_load = dlsym(library, "mmoe_quant_config_load");
    if (at_mmoe_quant_config_load == NULL) return "mmoe_quant_config_load";
    *(void **)&at_mmoe_quant_config_info = dlsym(library, "mmoe_quant_config_info");
    if (at_mmoe_quant_config_info == NULL) return "mmoe_quant_config_info";
    *(void **)&at_mmoe_quant_config_destroy = dlsym(library, "mmoe_quant_config_destroy");
    if (at_mmoe_quant_config_destroy == NULL) return "mmoe_quant_config_destroy";
    *(void **)&at_mmoe_checkpoint_open = dlsym(library, "mmoe_checkpoint_open");
    if (at_mmoe_checkpoint_open == NULL) return "mmoe_checkpoint_open";
    *(void **)&at_mmoe_checkpoint_tensor_count = dlsym(library, "mmoe_checkpoint_tensor_count");
    if (at_mmoe_checkpoint_tensor_count == NULL) return "mmoe_checkpoint_tensor_count";
    *(void **)&at_mmoe_checkpoint_tensor_at = dlsym(library, "mmoe_checkpoint_tensor_at");
    if (at_mmoe_checkpoint_tensor_at == NULL) return "mmoe_checkpoint_tensor_at";
    *(void **)&at_mmoe_checkpoint_tensor_find = dlsym(library, "mmoe_checkpoint_tensor_find");
    if (at_mmoe_checkpoint_tensor_find == NULL) return "mmoe_checkpoint_tensor_find";
    *(void **)&at_mmoe_checkpoint_tensor_read = dlsym(library, "mmoe_checkpoint_tensor_read");
    if (at_mmoe_checkpoint_tensor_read == NULL) return "mmoe_checkpoint_tensor_read";
    *(void **)&at_mmoe_checkpoint_layer_count = dlsym(library, "mmoe_checkpoint_layer_count");
    if (at_mmoe_checkpoint_layer_count == NULL) return "mmoe_checkpoint_layer_count";
    *(void **)&at_mmoe_checkpoint_layer_info = dlsym(library, "mmoe_checkpoint_layer_info");
    if (at_mmoe_checkpoint_layer_info == NULL) return "mmoe_checkpoint_layer_info";
    *(void **)&at_mmoe_checkpoint_dequantize = dlsym(library, "mmoe_checkpoint_dequantize");
    if (at_mmoe_checkpoint_dequantize == NULL) return "mmoe_checkpoint_dequantize";
    *(void **)&at_mmoe_checkpoint_destroy = dlsym(library, "mmoe_checkpoint_destroy");
    if (at_mmoe_checkpoint_destroy == NULL) return "mmoe_checkpoint_destroy";
    *(void **)&at_mmoe_support_query = dlsym(library, "mmoe_support_query");
    if (at_mmoe_support_query == NULL) return "mmoe_support_query";
    *(void **)&at_mmoe_bundle_plan = dlsym(library, "mmoe_bundle_plan");
    if (at_mmoe_bundle_plan == NULL) return "mmoe_bundle_plan";
    *(void **)&at_mmoe_bundle_create = dlsym(library, "mmoe_bundle_create");
    if (at_mmoe_bundle_create == NULL) return "mmoe_bundle_create";
    *(void **)&at_mmoe_bundle_set = dlsym(library, "mmoe_bundle_set");
    if (at_mmoe_bundle_set == NULL) return "mmoe_bundle_set";
    *(void **)&at_mmoe_bundle_seal = dlsym(library, "mmoe_bundle_seal");
    if (at_mmoe_bundle_seal == NULL) return "mmoe_bundle_seal";
    *(void **)&at_mmoe_bundle_load = dlsym(library, "mmoe_bundle_load");
    if (at_mmoe_bundle_load == NULL) return "mmoe_bundle_load";
    *(void **)&at_mmoe_bundle_put = dlsym(library, "mmoe_bundle_put");
    if (at_mmoe_bundle_put == NULL) return "mmoe_bundle_put";
    *(void **)&at_mmoe_bundle_put_from = dlsym(library, "mmoe_bundle_put_from");
    if (at_mmoe_bundle_put_from == NULL) return "mmoe_bundle_put_from";
    *(void **)&at_mmoe_bundle_evict = dlsym(library, "mmoe_bundle_evict");
    if (at_mmoe_bundle_evict == NULL) return "mmoe_bundle_evict";
    *(void **)&at_mmoe_load_start = dlsym(library, "mmoe_load_start");
    if (at_mmoe_load_start == NULL) return "mmoe_load_start";
    *(void **)&at_mmoe_load_poll = dlsym(library, "mmoe_load_poll");
    if (at_mmoe_load_poll == NULL) return "mmoe_load_poll";
    *(void **)&at_mmoe_load_wait = dlsym(library, "mmoe_load_wait");
    if (at_mmoe_load_wait == NULL) return "mmoe_load_wait";
    *(void **)&at_mmoe_load_cancel = dlsym(library, "mmoe_load_cancel");
    if (at_mmoe_load_cancel == NULL) return "mmoe_load_cancel";
    *(void **)&at_mmoe_load_destroy = dlsym(library, "mmoe_load_destroy");
    if (at_mmoe_load_destroy == NULL) return "mmoe_load_destroy";
    *(void **)&at_mmoe_bundle_save = dlsym(library, "mmoe_bundle_save");
    if (at_mmoe_bundle_save == NULL) return "mmoe_bundle_save";
    *(void **)&at_mmoe_bundle_open = dlsym(library, "mmoe_bundle_open");
    if (at_mmoe_bundle_open == NULL) return "mmoe_bundle_open";
    *(void **)&at_mmoe_bundle_info = dlsym(library, "mmoe_bundle_info");
    if (at_mmoe_bundle_info == NULL) return "mmoe_bundle_info";
    *(void **)&at_mmoe_bundle_destroy = dlsym(library, "mmoe_bundle_destroy");
    if (at_mmoe_bundle_destroy == NULL) return "mmoe_bundle_destroy";
    *(void **)&at_mmoe_executor_plan = dlsym(library, "mmoe_executor_plan");
    if (at_mmoe_executor_plan == NULL) return "mmoe_executor_plan";
    *(void **)&at_mmoe_executor_create = dlsym(library, "mmoe_executor_create");
    if (at_mmoe_executor_create == NULL) return "mmoe_executor_create";
    *(void **)&at_mmoe_executor_run = dlsym(library, "mmoe_executor_run");
    if (at_mmoe_executor_run == NULL) return "mmoe_executor_run";
    *(void **)&at_mmoe_executor_poll = dlsym(library, "mmoe_executor_poll");
    if (at_mmoe_executor_poll == NULL) return "mmoe_executor_poll";
    *(void **)&at_mmoe_executor_explain = dlsym(library, "mmoe_executor_explain");
    if (at_mmoe_executor_explain == NULL) return "mmoe_executor_explain";
    *(void **)&at_mmoe_executor_destroy = dlsym(library, "mmoe_executor_destroy");
    if (at_mmoe_executor_destroy == NULL) return "mmoe_executor_destroy";
    *(void **)&at_mmoe_route = dlsym(library, "mmoe_route");
    if (at_mmoe_route == NULL) return "mmoe_route";
    *(void **)&at_mmoe_marlin_describe = dlsym(library, "mmoe_marlin_describe");
    if (at_mmoe_marlin_describe == NULL) return "mmoe_marlin_describe";
    *(void **)&at_mmoe_marlin_pack = dlsym(library, "mmoe_marlin_pack");
    if (at_mmoe_marlin_pack == NULL) return "mmoe_marlin_pack";
    *(void **)&at_mmoe_marlin_enqueue_pack = dlsym(library, "mmoe_marlin_enqueue_pack");
    if (at_mmoe_marlin_enqueue_pack == NULL) return "mmoe_marlin_enqueue_pack";
    *(void **)&at_mmoe_marlin_unpack = dlsym(library, "mmoe_marlin_unpack");
    if (at_mmoe_marlin_unpack == NULL) return "mmoe_marlin_unpack";
    *(void **)&at_mmoe_marlin_describe_experts = dlsym(library, "mmoe_marlin_describe_experts");
    if (at_mmoe_marlin_describe_experts == NULL) return "mmoe_marlin_describe_experts";
    *(void **)&at_mmoe_marlin_export = dlsym(library, "mmoe_marlin_export");
    if (at_mmoe_marlin_export == NULL) return "mmoe_marlin_export";
    *(void **)&at_mmoe_marlin_import = dlsym(library, "mmoe_marlin_import");
    if (at_mmoe_marlin_import == NULL) return "mmoe_marlin_import";
    return NULL;
}

uint32_t go_mmoe_version(void) {
    return at_mmoe_version();
}

const char* go_mmoe_version_string(void) {
    return at_mmoe_version_string();
}

size_t go_mmoe_build_describe(char* text, size_t capacity_bytes) {
    return at_mmoe_build_describe(text, capacity_bytes);
}

const char* go_mmoe_status_name(mmoe_status status) {
    return at_mmoe_status_name(status);
}

mmoe_status go_mmoe_device_count(mmoe_device_kind kind, uint32_t* count, mmoe_error* error) {
    return at_mmoe_device_count(kind, count, error);
}

mmoe_status go_mmoe_device_info(mmoe_device_kind kind, uint32_t index, mmoe_device_description* description, mmoe_error* error) {
    return at_mmoe_device_info(kind, index, description, error);
}

mmoe_status go_mmoe_context_create(const mmoe_context_options* options, mmoe_context** out, mmoe_error* error) {
    return at_mmoe_context_create(options, out, error);
}

mmoe_status go_mmoe_context_info(const mmoe_context* context, mmoe_device_description* description, mmoe_error* error) {
    return at_mmoe_context_info(context, description, error);
}

void go_mmoe_context_destroy(mmoe_context* context) {
    at_mmoe_context_destroy(context);
}

mmoe_status go_mmoe_quant_config_create(const mmoe_quant_fields* fields, mmoe_quant_config** out, mmoe_error* error) {
    return at_mmoe_quant_config_create(fields, out, error);
}

mmoe_status go_mmoe_quant_config_load(const char* path, const char* module, mmoe_quant_config** out, mmoe_error* error) {
    return at_mmoe_quant_config_load(path, module, out, error);
}

mmoe_status go_mmoe_quant_config_info(const mmoe_quant_config* config, mmoe_quant_fields* fields, mmoe_error* error) {
    return at_mmoe_quant_config_info(config, fields, error);
}

void go_mmoe_quant_config_destroy(mmoe_quant_config* config) {
    at_mmoe_quant_config_destroy(config);
}

mmoe_status go_mmoe_checkpoint_open(mmoe_context* context, const char* path, const mmoe_checkpoint_options* options, mmoe_checkpoint** out, mmoe_error* error) {
    return at_mmoe_checkpoint_open(context, path, options, out, error);
}

uint64_t go_mmoe_checkpoint_tensor_count(const mmoe_checkpoint* checkpoint) {
    return at_mmoe_checkpoint_tensor_count(checkpoint);
}

mmoe_status go_mmoe_checkpoint_tensor_at(const mmoe_checkpoint* checkpoint, uint64_t index, mmoe_tensor_info* info, mmoe_error* error) {
    return at_mmoe_checkpoint_tensor_at(checkpoint, index, info, error);
}

mmoe_status go_mmoe_checkpoint_tensor_find(const mmoe_checkpoint* checkpoint, const char* name, mmoe_tensor_info* info, mmoe_error* error) {
    return at_mmoe_checkpoint_tensor_find(checkpoint, name, info, error);
}

mmoe_status go_mmoe_checkpoint_tensor_read(const mmoe_checkpoint* checkpoint, const char* name, void* data, size_t capacity_bytes, mmoe_error* error) {
    return at_mmoe_checkpoint_tensor_read(checkpoint, name, data, capacity_bytes, error);
}

uint32_t go_mmoe_checkpoint_layer_count(const mmoe_checkpoint* checkpoint) {
    return at_mmoe_checkpoint_layer_count(checkpoint);
}

mmoe_status go_mmoe_checkpoint_layer_info(const mmoe_checkpoint* checkpoint, uint32_t layer, mmoe_layer* info, mmoe_layer_place* place, mmoe_quant_config** config, mmoe_error* error) {
    return at_mmoe_checkpoint_layer_info(checkpoint, layer, info, place, config, error);
}

mmoe_status go_mmoe_checkpoint_dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer, uint32_t expert, mmoe_projection projection, float* weights, size_t weight_count, mmoe_error* error) {
    return at_mmoe_checkpoint_dequantize(checkpoint, layer, expert, projection, weights, weight_count, error);
}

void go_mmoe_checkpoint_destroy(mmoe_checkpoint* checkpoint) {
    at_mmoe_checkpoint_destroy(checkpoint);
}

mmoe_status go_mmoe_support_query(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, mmoe_support* support, mmoe_error* error) {
    return at_mmoe_support_query(context, config, layer, split, support, error);
}

mmoe_status go_mmoe_bundle_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_memory_plan* plan, mmoe_error* error) {
    return at_mmoe_bundle_plan(context, config, layer, options, plan, error);
}

mmoe_status go_mmoe_bundle_create(mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error) {
    return at_mmoe_bundle_create(context, config, layer, options, out, error);
}

mmoe_status go_mmoe_bundle_set(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection, mmoe_role role, const mmoe_tensor* tensor, mmoe_error* error) {
    return at_mmoe_bundle_set(bundle, expert, projection, role, tensor, error);
}

mmoe_status go_mmoe_bundle_seal(mmoe_bundle* bundle, mmoe_error* error) {
    return at_mmoe_bundle_seal(bundle, error);
}

mmoe_status go_mmoe_bundle_load(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error) {
    return at_mmoe_bundle_load(context, checkpoint, layer, options, out, error);
}

mmoe_status go_mmoe_bundle_put(mmoe_bundle* bundle, uint32_t expert, const mmoe_expert_tensor* tensors, uint32_t count, mmoe_error* error) {
    return at_mmoe_bundle_put(bundle, expert, tensors, count, error);
}

mmoe_status go_mmoe_bundle_put_from(mmoe_bundle* bundle, const mmoe_checkpoint* checkpoint, uint32_t layer, uint32_t expert, mmoe_error* error) {
    return at_mmoe_bundle_put_from(bundle, checkpoint, layer, expert, error);
}

mmoe_status go_mmoe_bundle_evict(mmoe_bundle* bundle, uint32_t expert, mmoe_error* error) {
    return at_mmoe_bundle_evict(bundle, expert, error);
}

mmoe_status go_mmoe_load_start(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_load** out, mmoe_error* error) {
    return at_mmoe_load_start(context, checkpoint, layer, options, out, error);
}

mmoe_status go_mmoe_load_poll(const mmoe_load* load, mmoe_load_progress* progress, mmoe_error* error) {
    return at_mmoe_load_poll(load, progress, error);
}

mmoe_status go_mmoe_load_wait(mmoe_load* load, mmoe_bundle** out, mmoe_error* error) {
    return at_mmoe_load_wait(load, out, error);
}

void go_mmoe_load_cancel(mmoe_load* load) {
    at_mmoe_load_cancel(load);
}

void go_mmoe_load_destroy(mmoe_load* load) {
    at_mmoe_load_destroy(load);
}

mmoe_status go_mmoe_bundle_save(const mmoe_bundle* bundle, const char* path, mmoe_error* error) {
    return at_mmoe_bundle_save(bundle, path, error);
}

mmoe_status go_mmoe_bundle_open(mmoe_context* context, const char* path, const mmoe_bundle_open_options* options, mmoe_bundle** out, mmoe_error* error) {
    return at_mmoe_bundle_open(context, path, options, out, error);
}

mmoe_status go_mmoe_bundle_info(const mmoe_bundle* bundle, mmoe_layer* layer, mmoe_bundle_description* description, mmoe_error* error) {
    return at_mmoe_bundle_info(bundle, layer, description, error);
}

void go_mmoe_bundle_destroy(mmoe_bundle* bundle) {
    at_mmoe_bundle_destroy(bundle);
}

mmoe_status go_mmoe_executor_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_executor_options* options, mmoe_memory_plan* plan, mmoe_error* error) {
    return at_mmoe_executor_plan(context, config, layer, options, plan, error);
}

mmoe_status go_mmoe_executor_create(mmoe_context* context, const mmoe_bundle* bundle, const mmoe_executor_options* options, mmoe_executor** out, mmoe_error* error) {
    return at_mmoe_executor_create(context, bundle, options, out, error);
}

mmoe_status go_mmoe_executor_run(mmoe_executor* executor, const mmoe_bundle* bundle, const mmoe_run_args* args, void* stream, mmoe_error* error) {
    return at_mmoe_executor_run(executor, bundle, args, stream, error);
}

mmoe_status go_mmoe_executor_poll(mmoe_executor* executor, mmoe_executor_findings* findings, mmoe_error* error) {
    return at_mmoe_executor_poll(executor, findings, error);
}

size_t go_mmoe_executor_explain(const mmoe_executor* executor, const mmoe_bundle* bundle, uint32_t tokens, char* text, size_t capacity_bytes) {
    return at_mmoe_executor_explain(executor, bundle, tokens, text, capacity_bytes);
}

void go_mmoe_executor_destroy(mmoe_executor* executor) {
    at_mmoe_executor_destroy(executor);
}

mmoe_status go_mmoe_route(const mmoe_context* context, const mmoe_route_args* args, void* stream, mmoe_error* error) {
    return at_mmoe_route(context, args, stream, error);
}

mmoe_status go_mmoe_marlin_describe(const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, mmoe_role role, mmoe_marlin_description* description, mmoe_error* error) {
    return at_mmoe_marlin_describe(config, matrix, role, description, error);
}

mmoe_status go_mmoe_marlin_pack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, mmoe_error* error) {
    return at_mmoe_marlin_pack(context, config, matrix, args, error);
}

mmoe_status go_mmoe_marlin_enqueue_pack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, void* stream, mmoe_error* error) {
    return at_mmoe_marlin_enqueue_pack(context, config, matrix, args, stream, error);
}

mmoe_status go_mmoe_marlin_unpack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, mmoe_error* error) {
    return at_mmoe_marlin_unpack(context, config, matrix, args, error);
}

mmoe_status go_mmoe_marlin_describe_experts(const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, mmoe_marlin_activation activation, mmoe_marlin_experts* experts, mmoe_error* error) {
    return at_mmoe_marlin_describe_experts(config, layer, split, activation, experts, error);
}

mmoe_status go_mmoe_marlin_export(const mmoe_bundle* bundle, uint32_t first_expert, const mmoe_marlin_experts* experts, mmoe_error* error) {
    return at_mmoe_marlin_export(bundle, first_expert, experts, error);
}

mmoe_status go_mmoe_marlin_import(mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, const mmoe_marlin_experts* experts, mmoe_bundle** out, mmoe_error* error) {
    return at_mmoe_marlin_import(context, config, layer, split, experts, out, error);
}
