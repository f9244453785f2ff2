/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from include/marlin_moe.h by bindings/generate.py.
 * Every function of the library, called through the library that was opened. The names
 * are not the library's own: cgo exports what a program defines, and the library would
 * find it. */
#ifndef MARLIN_MOE_GO_TRAMPOLINES_H
#define MARLIN_MOE_GO_TRAMPOLINES_H

#include <marlin_moe.h>

/* Resolves every function; returns the name of the first that is missing, or NULL. */
const char *marlin_moe_go_resolve(void *library);

uint32_t go_mmoe_version(void);
const char* go_mmoe_version_string(void);
size_t go_mmoe_build_describe(char* text, size_t capacity_bytes);
const char* go_mmoe_status_name(mmoe_status status);
mmoe_status go_mmoe_device_count(mmoe_device_kind kind, uint32_t* count, mmoe_error* error);
mmoe_status go_mmoe_device_info(mmoe_device_kind kind, uint32_t index, mmoe_device_description* description, mmoe_error* error);
mmoe_status go_mmoe_context_create(const mmoe_context_options* options, mmoe_context** out, mmoe_error* error);
mmoe_status go_mmoe_context_info(const mmoe_context* context, mmoe_device_description* description, mmoe_error* error);
void go_mmoe_context_destroy(mmoe_context* context);
mmoe_status go_mmoe_quant_config_create(const mmoe_quant_fields* fields, mmoe_quant_config** out, mmoe_error* error);
mmoe_status go_mmoe_quant_config_load(const char* path, const char* module, mmoe_quant_config** out, mmoe_error* error);
mmoe_status go_mmoe_quant_config_info(const mmoe_quant_config* config, mmoe_quant_fields* fields, mmoe_error* error);
void go_mmoe_quant_config_destroy(mmoe_quant_config* config);
mmoe_status go_mmoe_checkpoint_open(mmoe_context* context, const char* path, const mmoe_checkpoint_options* options, mmoe_checkpoint** out, mmoe_error* error);
uint64_t go_mmoe_checkpoint_tensor_count(const mmoe_checkpoint* checkpoint);
mmoe_status go_mmoe_checkpoint_tensor_at(const mmoe_checkpoint* checkpoint, uint64_t index, mmoe_tensor_info* info, mmoe_error* error);
mmoe_status go_mmoe_checkpoint_tensor_find(const mmoe_checkpoint* checkpoint, const char* name, mmoe_tensor_info* info, mmoe_error* error);
mmoe_status go_mmoe_checkpoint_tensor_read(const mmoe_checkpoint* checkpoint, const char* name, void* data, size_t capacity_bytes, mmoe_error* error);
uint32_t go_mmoe_checkpoint_layer_count(const mmoe_checkpoint* checkpoint);
mmoe_status go_mmoe_checkpoint_layer_info(const mmoe_checkpoint* checkpoint, uint32_t layer, mmoe_layer* info, mmoe_layer_place* place, mmoe_quant_config** config, mmoe_error* error);
mmoe_status go_mmoe_checkpoint_dequantize(const mmoe_checkpoint* checkpoint, uint32_t layer, uint32_t expert, mmoe_projection projection, float* weights, size_t weight_count, mmoe_error* error);
void go_mmoe_checkpoint_destroy(mmoe_checkpoint* checkpoint);
mmoe_status go_mmoe_support_query(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, mmoe_support* support, mmoe_error* error);
mmoe_status go_mmoe_bundle_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_memory_plan* plan, mmoe_error* error);
mmoe_status go_mmoe_bundle_create(mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error);
mmoe_status go_mmoe_bundle_set(mmoe_bundle* bundle, uint32_t expert, mmoe_projection projection, mmoe_role role, const mmoe_tensor* tensor, mmoe_error* error);
mmoe_status go_mmoe_bundle_seal(mmoe_bundle* bundle, mmoe_error* error);
mmoe_status go_mmoe_bundle_load(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_bundle** out, mmoe_error* error);
mmoe_status go_mmoe_bundle_put(mmoe_bundle* bundle, uint32_t expert, const mmoe_expert_tensor* tensors, uint32_t count, mmoe_error* error);
mmoe_status go_mmoe_bundle_put_from(mmoe_bundle* bundle, const mmoe_checkpoint* checkpoint, uint32_t layer, uint32_t expert, mmoe_error* error);
mmoe_status go_mmoe_bundle_evict(mmoe_bundle* bundle, uint32_t expert, mmoe_error* error);
mmoe_status go_mmoe_load_start(mmoe_context* context, const mmoe_checkpoint* checkpoint, uint32_t layer, const mmoe_bundle_options* options, mmoe_load** out, mmoe_error* error);
mmoe_status go_mmoe_load_poll(const mmoe_load* load, mmoe_load_progress* progress, mmoe_error* error);
mmoe_status go_mmoe_load_wait(mmoe_load* load, mmoe_bundle** out, mmoe_error* error);
void go_mmoe_load_cancel(mmoe_load* load);
void go_mmoe_load_destroy(mmoe_load* load);
mmoe_status go_mmoe_bundle_save(const mmoe_bundle* bundle, const char* path, mmoe_error* error);
mmoe_status go_mmoe_bundle_open(mmoe_context* context, const char* path, const mmoe_bundle_open_options* options, mmoe_bundle** out, mmoe_error* error);
mmoe_status go_mmoe_bundle_info(const mmoe_bundle* bundle, mmoe_layer* layer, mmoe_bundle_description* description, mmoe_error* error);
void go_mmoe_bundle_destroy(mmoe_bundle* bundle);
mmoe_status go_mmoe_executor_plan(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_executor_options* options, mmoe_memory_plan* plan, mmoe_error* error);
mmoe_status go_mmoe_executor_create(mmoe_context* context, const mmoe_bundle* bundle, const mmoe_executor_options* options, mmoe_executor** out, mmoe_error* error);
mmoe_status go_mmoe_executor_run(mmoe_executor* executor, const mmoe_bundle* bundle, const mmoe_run_args* args, void* stream, mmoe_error* error);
mmoe_status go_mmoe_executor_poll(mmoe_executor* executor, mmoe_executor_findings* findings, mmoe_error* error);
size_t go_mmoe_executor_explain(const mmoe_executor* executor, const mmoe_bundle* bundle, uint32_t tokens, char* text, size_t capacity_bytes);
void go_mmoe_executor_destroy(mmoe_executor* executor);
mmoe_status go_mmoe_route(const mmoe_context* context, const mmoe_route_args* args, void* stream, mmoe_error* error);
mmoe_status go_mmoe_marlin_describe(const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, mmoe_role role, mmoe_marlin_description* description, mmoe_error* error);
mmoe_status go_mmoe_marlin_pack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, mmoe_error* error);
mmoe_status go_mmoe_marlin_enqueue_pack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, void* stream, mmoe_error* error);
mmoe_status go_mmoe_marlin_unpack(const mmoe_context* context, const mmoe_quant_config* config, const mmoe_marlin_matrix* matrix, const mmoe_marlin_args* args, mmoe_error* error);
mmoe_status go_mmoe_marlin_describe_experts(const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, mmoe_marlin_activation activation, mmoe_marlin_experts* experts, mmoe_error* error);
mmoe_status go_mmoe_marlin_export(const mmoe_bundle* bundle, uint32_t first_expert, const mmoe_marlin_experts* experts, mmoe_error* error);
mmoe_status go_mmoe_marlin_import(mmoe_context* context, const mmoe_quant_config* config, const mmoe_layer* layer, const mmoe_split* split, const mmoe_marlin_experts* experts, mmoe_bundle** out, mmoe_error* error);

#endif
