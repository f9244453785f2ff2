/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/null_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void* const kPoison = (void*)(uintptr_t)0x5151;

static void* keep(const struct Attempt* attempt, int position, const void* pointer) {
    return attempt->null_at == position ? NULL : (void*)(uintptr_t)pointer;
}

/* A failed call that had an `out` must have cleared it. */
static void check_out(const struct Attempt* attempt, int position, mmoe_status status,
                      const void* out) {
    if (status != MMOE_OK && attempt->null_at != position) assert_null(out);
}

static mmoe_status call_build_describe(const struct Attempt* a) {
    char text[1] = "x";
    const size_t capacity_bytes = a->null_at == 0 ? 0 : 1;
    return mmoe_build_describe(keep(a, 0, text), capacity_bytes) > 1 ? MMOE_OK : MMOE_ERR_INTERNAL;
}

static mmoe_status call_device_count(const struct Attempt* a) {
    uint32_t count = 0;
    return mmoe_device_count(MMOE_DEVICE_CPU, keep(a, 0, &count), a->error);
}

static mmoe_status call_device_info(const struct Attempt* a) {
    mmoe_device_description description = {.struct_size = sizeof description};
    return mmoe_device_info(MMOE_DEVICE_CPU, 0, keep(a, 0, &description), a->error);
}

static mmoe_status call_context_create(const struct Attempt* a) {
    const mmoe_context_options options = {.struct_size = sizeof options};
    mmoe_context* out = kPoison;
    const mmoe_status status =
        mmoe_context_create(keep(a, 0, &options), keep(a, 1, &out), a->error);
    check_out(a, 1, status, out);
    if (status == MMOE_OK) mmoe_context_destroy(out);
    return status;
}

static mmoe_status call_context_info(const struct Attempt* a) {
    mmoe_device_description description = {.struct_size = sizeof description};
    return mmoe_context_info(keep(a, 0, a->tiny->context), keep(a, 1, &description), a->error);
}

static mmoe_status call_quant_config_create(const struct Attempt* a) {
    const mmoe_quant_fields fields = {.struct_size = sizeof fields, .bits = 4, .group_size = 32};
    mmoe_quant_config* out = kPoison;
    const mmoe_status status =
        mmoe_quant_config_create(keep(a, 0, &fields), keep(a, 1, &out), a->error);
    check_out(a, 1, status, out);
    if (status == MMOE_OK) mmoe_quant_config_destroy(out);
    return status;
}

static mmoe_status call_quant_config_load(const struct Attempt* a) {
    mmoe_quant_config* out = kPoison;
    const mmoe_status status = mmoe_quant_config_load(
        keep(a, 0, tiny_checkpoint_path()), keep(a, 1, "model.layers.0.mlp.experts.0.gate_proj"),
        keep(a, 2, &out), a->error);
    check_out(a, 2, status, out);
    if (status == MMOE_OK) mmoe_quant_config_destroy(out);
    return status;
}

static mmoe_status call_quant_config_info(const struct Attempt* a) {
    mmoe_quant_fields fields = {.struct_size = sizeof fields};
    return mmoe_quant_config_info(keep(a, 0, a->tiny->config), keep(a, 1, &fields), a->error);
}

static mmoe_status call_checkpoint_open(const struct Attempt* a) {
    const mmoe_checkpoint_options options = {.struct_size = sizeof options};
    mmoe_checkpoint* out = kPoison;
    const mmoe_status status =
        mmoe_checkpoint_open(keep(a, 0, a->tiny->context), keep(a, 1, tiny_checkpoint_path()),
                             keep(a, 2, &options), keep(a, 3, &out), a->error);
    check_out(a, 3, status, out);
    if (status == MMOE_OK) mmoe_checkpoint_destroy(out);
    return status;
}

static mmoe_status call_checkpoint_tensor_count(const struct Attempt* a) {
    const uint64_t count = mmoe_checkpoint_tensor_count(keep(a, 0, a->tiny->checkpoint));
    return count == (a->null_at == 0 ? 0 : 9) ? MMOE_OK : MMOE_ERR_INTERNAL;
}

static mmoe_status call_checkpoint_tensor_at(const struct Attempt* a) {
    mmoe_tensor_info info = {.struct_size = sizeof info};
    return mmoe_checkpoint_tensor_at(keep(a, 0, a->tiny->checkpoint), 0, keep(a, 1, &info),
                                     a->error);
}

static const char kTensorName[] = "model.layers.0.mlp.experts.0.up_proj.weight_scale";

static mmoe_status call_checkpoint_tensor_find(const struct Attempt* a) {
    mmoe_tensor_info info = {.struct_size = sizeof info};
    return mmoe_checkpoint_tensor_find(keep(a, 0, a->tiny->checkpoint), keep(a, 1, kTensorName),
                                       keep(a, 2, &info), a->error);
}

static mmoe_status call_checkpoint_tensor_read(const struct Attempt* a) {
    uint16_t data[kTinyIntermediate * kTinyHidden / kTinyGroup];
    return mmoe_checkpoint_tensor_read(keep(a, 0, a->tiny->checkpoint), keep(a, 1, kTensorName),
                                       keep(a, 2, data), sizeof data, a->error);
}

static mmoe_status call_checkpoint_layer_count(const struct Attempt* a) {
    const uint32_t count = mmoe_checkpoint_layer_count(keep(a, 0, a->tiny->checkpoint));
    return count == (a->null_at == 0 ? 0 : 1) ? MMOE_OK : MMOE_ERR_INTERNAL;
}

static mmoe_status call_checkpoint_layer_info(const struct Attempt* a) {
    mmoe_layer info = {.struct_size = sizeof info};
    mmoe_layer_place place = {.struct_size = sizeof place};
    mmoe_quant_config* config = kPoison;
    const mmoe_status status =
        mmoe_checkpoint_layer_info(keep(a, 0, a->tiny->checkpoint), 0, keep(a, 1, &info),
                                   keep(a, 2, &place), keep(a, 3, &config), a->error);
    check_out(a, 3, status, config);
    if (status == MMOE_OK && a->null_at != 3) mmoe_quant_config_destroy(config);
    return status;
}

static mmoe_status call_checkpoint_dequantize(const struct Attempt* a) {
    static float weights[kTinyIntermediate * kTinyHidden];
    return mmoe_checkpoint_dequantize(keep(a, 0, a->tiny->checkpoint), 0, 0, MMOE_PROJECTION_UP,
                                      keep(a, 1, weights), kTinyIntermediate * kTinyHidden,
                                      a->error);
}

static mmoe_status call_support_query(const struct Attempt* a) {
    const mmoe_split split = {0};
    mmoe_support support = {.struct_size = sizeof support};
    return mmoe_support_query(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                              keep(a, 2, &a->tiny->layer), keep(a, 3, &split), keep(a, 4, &support),
                              a->error);
}

static mmoe_status call_bundle_plan(const struct Attempt* a) {
    const mmoe_bundle_options options = {.struct_size = sizeof options};
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_bundle_plan(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                            keep(a, 2, &a->tiny->layer), keep(a, 3, &options), keep(a, 4, &plan),
                            a->error);
}

static mmoe_status call_bundle_create(const struct Attempt* a) {
    const mmoe_bundle_options options = {.struct_size = sizeof options};
    mmoe_bundle* out = kPoison;
    const mmoe_status status = mmoe_bundle_create(
        keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config), keep(a, 2, &a->tiny->layer),
        keep(a, 3, &options), keep(a, 4, &out), a->error);
    check_out(a, 4, status, out);
    if (status == MMOE_OK) mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status call_bundle_set(const struct Attempt* a) {
    const mmoe_tensor tensor = tiny_gate_scale();
    return mmoe_bundle_set(keep(a, 0, a->tiny->filling), 0, MMOE_PROJECTION_GATE, MMOE_ROLE_SCALE,
                           keep(a, 1, &tensor), a->error);
}

static mmoe_status call_bundle_seal(const struct Attempt* a) {
    mmoe_bundle* bundle = tiny_complete_bundle(a->tiny);
    const mmoe_status status = mmoe_bundle_seal(keep(a, 0, bundle), a->error);
    mmoe_bundle_destroy(bundle);
    return status;
}

static mmoe_status call_bundle_load(const struct Attempt* a) {
    const mmoe_bundle_options options = {.struct_size = sizeof options};
    mmoe_bundle* out = kPoison;
    const mmoe_status status =
        mmoe_bundle_load(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->checkpoint), 0,
                         keep(a, 2, &options), keep(a, 3, &out), a->error);
    check_out(a, 3, status, out);
    if (status == MMOE_OK) mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status call_load_start(const struct Attempt* a) {
    const mmoe_bundle_options options = {.struct_size = sizeof options};
    mmoe_load* out = kPoison;
    const mmoe_status status =
        mmoe_load_start(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->checkpoint), 0,
                        keep(a, 2, &options), keep(a, 3, &out), a->error);
    check_out(a, 3, status, out);
    if (status == MMOE_OK) mmoe_load_destroy(out);
    return status;
}

static mmoe_load* start_load(const struct Attempt* a) {
    mmoe_load* load = NULL;
    assert_int_equal(mmoe_load_start(a->tiny->context, a->tiny->checkpoint, 0, NULL, &load, NULL),
                     MMOE_OK);
    return load;
}

static mmoe_status call_load_poll(const struct Attempt* a) {
    mmoe_load* load = start_load(a);
    mmoe_load_progress progress = {.struct_size = sizeof progress};
    const mmoe_status status = mmoe_load_poll(keep(a, 0, load), keep(a, 1, &progress), a->error);
    mmoe_load_destroy(load);
    return status;
}

static mmoe_status call_load_wait(const struct Attempt* a) {
    mmoe_load* load = start_load(a);
    mmoe_bundle* out = kPoison;
    const mmoe_status status = mmoe_load_wait(keep(a, 0, load), keep(a, 1, &out), a->error);
    check_out(a, 1, status, out);
    if (status == MMOE_OK) mmoe_bundle_destroy(out);
    mmoe_load_destroy(load);
    return status;
}

static mmoe_status call_load_cancel(const struct Attempt* a) {
    (void)a;
    mmoe_load_cancel(NULL);
    return MMOE_OK;
}

static const char kSavedPath[] = MMOE_TEST_SCRATCH "/null_test_saved_bundle";

static mmoe_status call_bundle_save(const struct Attempt* a) {
    return mmoe_bundle_save(keep(a, 0, a->tiny->sealed), keep(a, 1, kSavedPath), a->error);
}

static mmoe_status call_bundle_open(const struct Attempt* a) {
    assert_int_equal(mmoe_bundle_save(a->tiny->sealed, kSavedPath, NULL), MMOE_OK);
    const mmoe_bundle_open_options options = {.struct_size = sizeof options};
    mmoe_bundle* out = kPoison;
    const mmoe_status status =
        mmoe_bundle_open(keep(a, 0, a->tiny->context), keep(a, 1, kSavedPath), keep(a, 2, &options),
                         keep(a, 3, &out), a->error);
    check_out(a, 3, status, out);
    if (status == MMOE_OK) mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status call_bundle_put(const struct Attempt* a) {
    mmoe_expert_tensor tensors[kTinyTensorCount];
    tiny_expert_tensors(tensors);
    return mmoe_bundle_put(keep(a, 0, a->tiny->sealed), 0, keep(a, 1, tensors), kTinyTensorCount,
                           a->error);
}

static mmoe_status call_bundle_put_from(const struct Attempt* a) {
    return mmoe_bundle_put_from(keep(a, 0, a->tiny->sealed), keep(a, 1, a->tiny->checkpoint), 0, 0,
                                a->error);
}

static mmoe_status call_bundle_evict(const struct Attempt* a) {
    return mmoe_bundle_evict(keep(a, 0, a->tiny->sealed), 0, a->error);
}

static mmoe_status call_bundle_info(const struct Attempt* a) {
    mmoe_layer layer = {.struct_size = sizeof layer};
    mmoe_bundle_description description = {.struct_size = sizeof description};
    return mmoe_bundle_info(keep(a, 0, a->tiny->sealed), keep(a, 1, &layer),
                            keep(a, 2, &description), a->error);
}

static mmoe_status call_executor_plan(const struct Attempt* a) {
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_executor_plan(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                              keep(a, 2, &a->tiny->layer), keep(a, 3, &a->tiny->executor_options),
                              keep(a, 4, &plan), a->error);
}

static mmoe_status call_executor_create(const struct Attempt* a) {
    mmoe_executor* out = kPoison;
    const mmoe_status status =
        mmoe_executor_create(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->sealed),
                             keep(a, 2, &a->tiny->executor_options), keep(a, 3, &out), a->error);
    check_out(a, 3, status, out);
    if (status == MMOE_OK) mmoe_executor_destroy(out);
    return status;
}

static mmoe_status call_executor_run(const struct Attempt* a) {
    const mmoe_run_args args = tiny_run_args();
    return mmoe_executor_run(keep(a, 0, a->tiny->executor), keep(a, 1, a->tiny->sealed),
                             keep(a, 2, &args), NULL, a->error);
}

static mmoe_status call_executor_poll(const struct Attempt* a) {
    mmoe_executor_findings findings = {.struct_size = sizeof findings};
    return mmoe_executor_poll(keep(a, 0, a->tiny->executor), keep(a, 1, &findings), a->error);
}

static mmoe_status call_executor_explain(const struct Attempt* a) {
    char text[1] = "x";
    const size_t needed_bytes =
        mmoe_executor_explain(keep(a, 0, a->tiny->executor), keep(a, 1, a->tiny->sealed), 1,
                              keep(a, 2, text), a->null_at == 2 ? 0 : 1);
    const int is_empty = a->null_at == 0 || a->null_at == 1;
    return (needed_bytes == 1) == is_empty ? MMOE_OK : MMOE_ERR_INTERNAL;
}

static mmoe_status call_route(const struct Attempt* a) {
    const mmoe_route_args args = tiny_route_args();
    return mmoe_route(keep(a, 0, a->tiny->context), keep(a, 1, &args), NULL, a->error);
}

static mmoe_status call_marlin_describe(const struct Attempt* a) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    mmoe_marlin_description description = {.struct_size = sizeof description};
    return mmoe_marlin_describe(keep(a, 0, a->tiny->config), keep(a, 1, &matrix), MMOE_ROLE_BIAS,
                                keep(a, 2, &description), a->error);
}

static mmoe_status call_marlin_pack(const struct Attempt* a) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    const mmoe_marlin_args args = tiny_marlin_args();
    return mmoe_marlin_pack(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                            keep(a, 2, &matrix), keep(a, 3, &args), a->error);
}

static mmoe_status call_marlin_enqueue_pack(const struct Attempt* a) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    const mmoe_marlin_args args = tiny_marlin_args();
    return mmoe_marlin_enqueue_pack(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                                    keep(a, 2, &matrix), keep(a, 3, &args), NULL, a->error);
}

static mmoe_status call_marlin_unpack(const struct Attempt* a) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    const mmoe_marlin_args args = tiny_marlin_args();
    return mmoe_marlin_unpack(keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config),
                              keep(a, 2, &matrix), keep(a, 3, &args), a->error);
}

static mmoe_status call_marlin_describe_experts(const struct Attempt* a) {
    const mmoe_split split = {0};
    mmoe_marlin_experts experts = {.struct_size = sizeof experts};
    return mmoe_marlin_describe_experts(keep(a, 0, a->tiny->config), keep(a, 1, &a->tiny->layer),
                                        keep(a, 2, &split), MMOE_MARLIN_16_BIT,
                                        keep(a, 3, &experts), a->error);
}

static mmoe_status call_marlin_export(const struct Attempt* a) {
    const mmoe_marlin_experts experts = tiny_marlin_experts();
    return mmoe_marlin_export(keep(a, 0, a->tiny->sealed), 0, keep(a, 1, &experts), a->error);
}

static mmoe_status call_marlin_import(const struct Attempt* a) {
    const mmoe_split split = {0};
    const mmoe_marlin_experts experts = tiny_marlin_experts();
    mmoe_bundle* out = kPoison;
    const mmoe_status status = mmoe_marlin_import(
        keep(a, 0, a->tiny->context), keep(a, 1, a->tiny->config), keep(a, 2, &a->tiny->layer),
        keep(a, 3, &split), keep(a, 4, &experts), keep(a, 5, &out), a->error);
    check_out(a, 5, status, out);
    if (status == MMOE_OK) mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status call_every_destroy(const struct Attempt* a) {
    (void)a;
    mmoe_context_destroy(NULL);
    mmoe_quant_config_destroy(NULL);
    mmoe_checkpoint_destroy(NULL);
    mmoe_load_destroy(NULL);
    mmoe_bundle_destroy(NULL);
    mmoe_executor_destroy(NULL);
    return MMOE_OK;
}

const struct NullRow kNullRows[] = {
    {"mmoe_build_describe", call_build_describe, "o"},
    {"mmoe_device_count", call_device_count, "r"},
    {"mmoe_device_info", call_device_info, "r"},
    {"mmoe_context_create", call_context_create, "or"},
    {"mmoe_context_info", call_context_info, "rr"},
    {"mmoe_context_destroy", call_every_destroy, "o"},
    {"mmoe_quant_config_create", call_quant_config_create, "rr"},
    {"mmoe_quant_config_load", call_quant_config_load, "ror"},
    {"mmoe_quant_config_info", call_quant_config_info, "rr"},
    {"mmoe_quant_config_destroy", call_every_destroy, "o"},
    {"mmoe_checkpoint_open", call_checkpoint_open, "rror"},
    {"mmoe_checkpoint_tensor_count", call_checkpoint_tensor_count, "o"},
    {"mmoe_checkpoint_tensor_at", call_checkpoint_tensor_at, "rr"},
    {"mmoe_checkpoint_tensor_find", call_checkpoint_tensor_find, "rrr"},
    {"mmoe_checkpoint_tensor_read", call_checkpoint_tensor_read, "rrr"},
    {"mmoe_checkpoint_layer_count", call_checkpoint_layer_count, "o"},
    {"mmoe_checkpoint_layer_info", call_checkpoint_layer_info, "rooo"},
    {"mmoe_checkpoint_dequantize", call_checkpoint_dequantize, "rr"},
    {"mmoe_checkpoint_destroy", call_every_destroy, "o"},
    {"mmoe_support_query", call_support_query, "rrror"},
    {"mmoe_bundle_plan", call_bundle_plan, "rrror"},
    {"mmoe_bundle_create", call_bundle_create, "rrror"},
    {"mmoe_bundle_set", call_bundle_set, "rr"},
    {"mmoe_bundle_seal", call_bundle_seal, "r"},
    {"mmoe_bundle_load", call_bundle_load, "rror"},
    {"mmoe_load_start", call_load_start, "rror"},
    {"mmoe_load_poll", call_load_poll, "rr"},
    {"mmoe_load_wait", call_load_wait, "rr"},
    {"mmoe_load_cancel", call_load_cancel, "o"},
    {"mmoe_load_destroy", call_every_destroy, "o"},
    {"mmoe_bundle_save", call_bundle_save, "rr"},
    {"mmoe_bundle_open", call_bundle_open, "rror"},
    {"mmoe_bundle_evict", call_bundle_evict, "r"},
    {"mmoe_bundle_put", call_bundle_put, "rr"},
    {"mmoe_bundle_put_from", call_bundle_put_from, "rr"},
    {"mmoe_bundle_info", call_bundle_info, "roo"},
    {"mmoe_bundle_destroy", call_every_destroy, "o"},
    {"mmoe_executor_plan", call_executor_plan, "rrrrr"},
    {"mmoe_executor_create", call_executor_create, "rrrr"},
    {"mmoe_executor_run", call_executor_run, "rrro"},
    {"mmoe_executor_poll", call_executor_poll, "rr"},
    {"mmoe_executor_explain", call_executor_explain, "ooo"},
    {"mmoe_executor_destroy", call_every_destroy, "o"},
    {"mmoe_route", call_route, "rro"},
    {"mmoe_marlin_describe", call_marlin_describe, "rrr"},
    {"mmoe_marlin_pack", call_marlin_pack, "orrr"},
    {"mmoe_marlin_enqueue_pack", call_marlin_enqueue_pack, "rrrro"},
    {"mmoe_marlin_unpack", call_marlin_unpack, "orrr"},
    {"mmoe_marlin_describe_experts", call_marlin_describe_experts, "rror"},
    {"mmoe_marlin_export", call_marlin_export, "rr"},
    {"mmoe_marlin_import", call_marlin_import, "rrrorr"},
};
const int kNullRowCount = sizeof kNullRows / sizeof *kNullRows;
