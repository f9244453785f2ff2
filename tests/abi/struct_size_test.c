/* SPDX-License-Identifier: Apache-2.0 */
/* The rule of option structures, through every function that takes or fills one. Structures lie
 * in memory of exactly struct_size bytes (and a canary), so that a sanitizer sees a step too far.
 *
 *     given     0, less than version 1, or more than 64 KiB: refused; version 1: accepted
 *               longer, the rest zero: accepted      longer, the rest not zero: refused
 *     filled    0, less than version 1, or more than 64 KiB: refused
 *               longer: the rest is zeroed */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/tiny_layer.h"

enum { kTailBytes = 64, kCanaryBytes = 16, kCanary = 0xA5 };

static mmoe_error last_error;

/* Where the members begin that came after version 1. */
enum {
    kFirstExecutorOptionsBytes = offsetof(mmoe_executor_options, skip_self_test),
    kFirstRunArgsBytes = offsetof(mmoe_run_args, token_count)
};

/* Calls take the structure's memory, already filled with a valid example. */
typedef mmoe_status (*Call)(struct TinyLayer* tiny, void* memory);

static mmoe_status take_context_options(struct TinyLayer* tiny, void* memory) {
    (void)tiny;
    mmoe_context* out = NULL;
    const mmoe_status status = mmoe_context_create(memory, &out, &last_error);
    mmoe_context_destroy(out);
    return status;
}

static mmoe_status take_quant_fields(struct TinyLayer* tiny, void* memory) {
    (void)tiny;
    mmoe_quant_config* out = NULL;
    const mmoe_status status = mmoe_quant_config_create(memory, &out, &last_error);
    mmoe_quant_config_destroy(out);
    return status;
}

static mmoe_status take_checkpoint_options(struct TinyLayer* tiny, void* memory) {
    mmoe_checkpoint* out = NULL;
    const mmoe_status status =
        mmoe_checkpoint_open(tiny->context, tiny_checkpoint_path(), memory, &out, &last_error);
    mmoe_checkpoint_destroy(out);
    return status;
}

static mmoe_status take_layer_query(struct TinyLayer* tiny, void* memory) {
    mmoe_support support = {.struct_size = sizeof support};
    return mmoe_support_query(tiny->context, tiny->config, memory, NULL, &support, &last_error);
}

static mmoe_status take_layer_bundle_plan(struct TinyLayer* tiny, void* memory) {
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_bundle_plan(tiny->context, tiny->config, memory, NULL, &plan, &last_error);
}

static mmoe_status take_layer_bundle_create(struct TinyLayer* tiny, void* memory) {
    mmoe_bundle* out = NULL;
    const mmoe_status status =
        mmoe_bundle_create(tiny->context, tiny->config, memory, NULL, &out, &last_error);
    mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status take_layer_executor_plan(struct TinyLayer* tiny, void* memory) {
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_executor_plan(tiny->context, tiny->config, memory, &tiny->executor_options, &plan,
                              &last_error);
}

static mmoe_status take_bundle_options_plan(struct TinyLayer* tiny, void* memory) {
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_bundle_plan(tiny->context, tiny->config, &tiny->layer, memory, &plan, &last_error);
}

static mmoe_status take_bundle_options_create(struct TinyLayer* tiny, void* memory) {
    mmoe_bundle* out = NULL;
    const mmoe_status status =
        mmoe_bundle_create(tiny->context, tiny->config, &tiny->layer, memory, &out, &last_error);
    mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status take_bundle_options_load(struct TinyLayer* tiny, void* memory) {
    mmoe_bundle* out = NULL;
    const mmoe_status status =
        mmoe_bundle_load(tiny->context, tiny->checkpoint, 0, memory, &out, &last_error);
    mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status take_bundle_options_start(struct TinyLayer* tiny, void* memory) {
    mmoe_load* out = NULL;
    const mmoe_status status =
        mmoe_load_start(tiny->context, tiny->checkpoint, 0, memory, &out, &last_error);
    mmoe_load_destroy(out);
    return status;
}

static const char kSavedPath[] = MMOE_TEST_SCRATCH "/struct_size_test_saved_bundle";

static mmoe_status take_bundle_open_options(struct TinyLayer* tiny, void* memory) {
    assert_int_equal(mmoe_bundle_save(tiny->sealed, kSavedPath, NULL), MMOE_OK);
    mmoe_bundle* out = NULL;
    const mmoe_status status =
        mmoe_bundle_open(tiny->context, kSavedPath, memory, &out, &last_error);
    mmoe_bundle_destroy(out);
    return status;
}

static mmoe_status take_executor_options_plan(struct TinyLayer* tiny, void* memory) {
    mmoe_memory_plan plan = {.struct_size = sizeof plan};
    return mmoe_executor_plan(tiny->context, tiny->config, &tiny->layer, memory, &plan,
                              &last_error);
}

static mmoe_status take_executor_options_create(struct TinyLayer* tiny, void* memory) {
    mmoe_executor* out = NULL;
    const mmoe_status status =
        mmoe_executor_create(tiny->context, tiny->sealed, memory, &out, &last_error);
    mmoe_executor_destroy(out);
    return status;
}

static mmoe_status take_run_args(struct TinyLayer* tiny, void* memory) {
    return mmoe_executor_run(tiny->executor, tiny->sealed, memory, NULL, &last_error);
}

static mmoe_status take_route_args(struct TinyLayer* tiny, void* memory) {
    return mmoe_route(tiny->context, memory, NULL, &last_error);
}

static mmoe_status take_marlin_matrix(struct TinyLayer* tiny, void* memory) {
    const mmoe_marlin_args args = tiny_marlin_args();
    return mmoe_marlin_pack(NULL, tiny->config, memory, &args, &last_error);
}

static mmoe_status take_marlin_args(struct TinyLayer* tiny, void* memory) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    return mmoe_marlin_unpack(NULL, tiny->config, &matrix, memory, &last_error);
}

static mmoe_status take_marlin_experts(struct TinyLayer* tiny, void* memory) {
    return mmoe_marlin_export(tiny->sealed, 0, memory, &last_error);
}

static mmoe_status fill_marlin_experts(struct TinyLayer* tiny, void* memory) {
    return mmoe_marlin_describe_experts(tiny->config, &tiny->layer, NULL, MMOE_MARLIN_16_BIT,
                                        memory, &last_error);
}

static mmoe_status fill_marlin_description(struct TinyLayer* tiny, void* memory) {
    const mmoe_marlin_matrix matrix = tiny_marlin_matrix();
    return mmoe_marlin_describe(tiny->config, &matrix, MMOE_ROLE_BIAS, memory, &last_error);
}

static mmoe_status fill_device_description(struct TinyLayer* tiny, void* memory) {
    (void)tiny;
    return mmoe_device_info(MMOE_DEVICE_CPU, 0, memory, &last_error);
}

static mmoe_status fill_context_device(struct TinyLayer* tiny, void* memory) {
    return mmoe_context_info(tiny->context, memory, &last_error);
}

static mmoe_status fill_quant_fields(struct TinyLayer* tiny, void* memory) {
    return mmoe_quant_config_info(tiny->config, memory, &last_error);
}

static mmoe_status fill_tensor_info_at(struct TinyLayer* tiny, void* memory) {
    return mmoe_checkpoint_tensor_at(tiny->checkpoint, 0, memory, &last_error);
}

static mmoe_status fill_tensor_info_find(struct TinyLayer* tiny, void* memory) {
    return mmoe_checkpoint_tensor_find(
        tiny->checkpoint, "model.layers.0.mlp.experts.0.up_proj.weight_scale", memory, &last_error);
}

static mmoe_status fill_layer_of_checkpoint(struct TinyLayer* tiny, void* memory) {
    return mmoe_checkpoint_layer_info(tiny->checkpoint, 0, memory, NULL, NULL, &last_error);
}

static mmoe_status fill_layer_place(struct TinyLayer* tiny, void* memory) {
    return mmoe_checkpoint_layer_info(tiny->checkpoint, 0, NULL, memory, NULL, &last_error);
}

static mmoe_status fill_support(struct TinyLayer* tiny, void* memory) {
    return mmoe_support_query(tiny->context, tiny->config, &tiny->layer, NULL, memory, &last_error);
}

static mmoe_status fill_bundle_plan(struct TinyLayer* tiny, void* memory) {
    return mmoe_bundle_plan(tiny->context, tiny->config, &tiny->layer, NULL, memory, &last_error);
}

static mmoe_status fill_executor_plan(struct TinyLayer* tiny, void* memory) {
    return mmoe_executor_plan(tiny->context, tiny->config, &tiny->layer, &tiny->executor_options,
                              memory, &last_error);
}

static mmoe_status fill_executor_findings(struct TinyLayer* tiny, void* memory) {
    return mmoe_executor_poll(tiny->executor, memory, &last_error);
}

static mmoe_status fill_load_progress(struct TinyLayer* tiny, void* memory) {
    mmoe_load* load = NULL;
    assert_int_equal(mmoe_load_start(tiny->context, tiny->checkpoint, 0, NULL, &load, NULL),
                     MMOE_OK);
    const mmoe_status status = mmoe_load_poll(load, memory, &last_error);
    mmoe_load_destroy(load);
    return status;
}

static mmoe_status fill_layer_of_bundle(struct TinyLayer* tiny, void* memory) {
    return mmoe_bundle_info(tiny->sealed, memory, NULL, &last_error);
}

static mmoe_status fill_bundle_description(struct TinyLayer* tiny, void* memory) {
    return mmoe_bundle_info(tiny->sealed, NULL, memory, &last_error);
}

struct SizeRow {
    const char* name;
    Call call;
    uint32_t first_bytes; /* of version 1 */
    uint32_t size_bytes;  /* of this version */
    const void* example;  /* valid members of a given structure; NULL: zeros */
};

static unsigned char* guarded(uint32_t size_bytes) {
    unsigned char* memory = malloc(size_bytes + kCanaryBytes);
    assert_non_null(memory);
    memset(memory, 0, size_bytes);
    memset(memory + size_bytes, kCanary, kCanaryBytes);
    return memory;
}

static void write_struct_size(unsigned char* memory, uint32_t struct_size) {
    memcpy(memory, &struct_size, sizeof struct_size);
}

static void expect_status(const struct SizeRow* row, const char* what, mmoe_status want,
                          mmoe_status got) {
    if (got != want) {
        fail_msg("%s, %s: expected %s, got %s (%s)", row->name, what, mmoe_status_name(want),
                 mmoe_status_name(got), got == MMOE_OK ? "" : last_error.message);
    }
}

/* What an uninitialised structure may say of itself. */
static const uint32_t kImplausible = 0xDEADBEEF;

/* Memory for a structure that says that it has `struct_size` bytes. */
static uint32_t memory_for(uint32_t struct_size, uint32_t least_bytes) {
    return struct_size == kImplausible || struct_size < least_bytes ? least_bytes : struct_size;
}

/* One call with a given structure of `struct_size` bytes, one of them dirty. */
static mmoe_status give(struct TinyLayer* tiny, const struct SizeRow* row, uint32_t struct_size,
                        uint32_t dirty_byte) {
    const uint32_t memory_bytes = memory_for(struct_size, row->size_bytes);
    unsigned char* memory = guarded(memory_bytes);
    memcpy(memory, row->example, row->size_bytes);
    write_struct_size(memory, struct_size);
    if (dirty_byte != 0) memory[dirty_byte] = 1;
    const mmoe_status status = row->call(tiny, memory);
    free(memory);
    return status;
}

static void check_given(struct TinyLayer* tiny, const struct SizeRow* row) {
    const uint32_t size = row->size_bytes, longer = size + kTailBytes;
    const uint32_t first = row->first_bytes;
    const uint32_t wrong_sizes[] = {0, 4, first - 1, kImplausible};
    for (int i = 0; i < 4; ++i) {
        expect_status(row, "wrong size", MMOE_ERR_STRUCT_SIZE, give(tiny, row, wrong_sizes[i], 0));
    }
    expect_status(row, "version 1", MMOE_OK, give(tiny, row, first, 0));
    expect_status(row, "this version", MMOE_OK, give(tiny, row, size, 0));
    expect_status(row, "zero tail", MMOE_OK, give(tiny, row, longer, 0));
    expect_status(row, "first byte of the tail", MMOE_ERR_STRUCT_SIZE,
                  give(tiny, row, longer, size));
    expect_status(row, "last byte of the tail", MMOE_ERR_STRUCT_SIZE,
                  give(tiny, row, longer, longer - 1));
}

static void check_filled(struct TinyLayer* tiny, const struct SizeRow* row) {
    const uint32_t size = row->size_bytes, first = row->first_bytes;
    const uint32_t sizes[] = {0, 4, first - 1, kImplausible, first, size, size + kTailBytes};
    for (int i = 0; i < 7; ++i) {
        const int refused = sizes[i] < first || sizes[i] == kImplausible;
        const uint32_t memory_bytes = memory_for(sizes[i], 4);
        unsigned char* memory = guarded(memory_bytes);
        for (uint32_t byte = size; byte < memory_bytes; ++byte) memory[byte] = kCanary;
        write_struct_size(memory, sizes[i]);
        expect_status(row, "to be filled", refused ? MMOE_ERR_STRUCT_SIZE : MMOE_OK,
                      row->call(tiny, memory));
        for (uint32_t byte = size; byte < memory_bytes; ++byte) {
            if (memory[byte] != 0) fail_msg("%s: byte %u of the tail is not zero", row->name, byte);
        }
        for (int byte = 0; byte < kCanaryBytes; ++byte) {
            assert_int_equal(memory[memory_bytes + byte], kCanary);
        }
        free(memory);
    }
}

static void given_structures_follow_the_rule(void** state) {
    struct TinyLayer* tiny = *state;
    const mmoe_context_options context_options = {.device_kind = MMOE_DEVICE_CPU};
    const mmoe_quant_fields fields = {.bits = 4, .group_size = 32};
    const mmoe_checkpoint_options checkpoint_options = {0};
    const mmoe_bundle_options bundle_options = {0};
    const mmoe_bundle_open_options open_options = {0};
    const mmoe_run_args args = tiny_run_args();
    const mmoe_route_args route_args = tiny_route_args();
    const mmoe_marlin_matrix marlin_matrix = tiny_marlin_matrix();
    const mmoe_marlin_args marlin_args = tiny_marlin_args();
    const mmoe_marlin_experts marlin_experts = tiny_marlin_experts();
    const mmoe_layer layer = tiny->layer;
    const mmoe_executor_options executor_options = tiny->executor_options;
    const struct SizeRow rows[] = {
        {"mmoe_context_create", take_context_options, sizeof context_options,
         sizeof context_options, &context_options},
        {"mmoe_quant_config_create", take_quant_fields, sizeof fields, sizeof fields, &fields},
        {"mmoe_checkpoint_open", take_checkpoint_options, sizeof checkpoint_options,
         sizeof checkpoint_options, &checkpoint_options},
        {"mmoe_support_query", take_layer_query, sizeof layer, sizeof layer, &layer},
        {"mmoe_bundle_plan layer", take_layer_bundle_plan, sizeof layer, sizeof layer, &layer},
        {"mmoe_bundle_create layer", take_layer_bundle_create, sizeof layer, sizeof layer, &layer},
        {"mmoe_executor_plan layer", take_layer_executor_plan, sizeof layer, sizeof layer, &layer},
        {"mmoe_bundle_plan", take_bundle_options_plan, sizeof bundle_options, sizeof bundle_options,
         &bundle_options},
        {"mmoe_bundle_create", take_bundle_options_create, sizeof bundle_options,
         sizeof bundle_options, &bundle_options},
        {"mmoe_bundle_load", take_bundle_options_load, sizeof bundle_options, sizeof bundle_options,
         &bundle_options},
        {"mmoe_load_start", take_bundle_options_start, sizeof bundle_options, sizeof bundle_options,
         &bundle_options},
        {"mmoe_bundle_open", take_bundle_open_options, sizeof open_options, sizeof open_options,
         &open_options},
        {"mmoe_executor_plan", take_executor_options_plan, kFirstExecutorOptionsBytes,
         sizeof executor_options, &executor_options},
        {"mmoe_executor_create", take_executor_options_create, kFirstExecutorOptionsBytes,
         sizeof executor_options, &executor_options},
        {"mmoe_executor_run", take_run_args, kFirstRunArgsBytes, sizeof args, &args},
        {"mmoe_route", take_route_args, sizeof route_args, sizeof route_args, &route_args},
        {"mmoe_marlin_pack", take_marlin_matrix, sizeof marlin_matrix, sizeof marlin_matrix,
         &marlin_matrix},
        {"mmoe_marlin_unpack", take_marlin_args, sizeof marlin_args, sizeof marlin_args,
         &marlin_args},
        {"mmoe_marlin_export", take_marlin_experts, sizeof marlin_experts, sizeof marlin_experts,
         &marlin_experts},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) check_given(tiny, &rows[i]);
}

static void filled_structures_follow_the_rule(void** state) {
    static const struct SizeRow kRows[] = {
        {"mmoe_device_info", fill_device_description, sizeof(mmoe_device_description),
         sizeof(mmoe_device_description), NULL},
        {"mmoe_context_info", fill_context_device, sizeof(mmoe_device_description),
         sizeof(mmoe_device_description), NULL},
        {"mmoe_quant_config_info", fill_quant_fields, sizeof(mmoe_quant_fields),
         sizeof(mmoe_quant_fields), NULL},
        {"mmoe_checkpoint_tensor_at", fill_tensor_info_at, sizeof(mmoe_tensor_info),
         sizeof(mmoe_tensor_info), NULL},
        {"mmoe_checkpoint_tensor_find", fill_tensor_info_find, sizeof(mmoe_tensor_info),
         sizeof(mmoe_tensor_info), NULL},
        {"mmoe_checkpoint_layer_info layer", fill_layer_of_checkpoint, sizeof(mmoe_layer),
         sizeof(mmoe_layer), NULL},
        {"mmoe_checkpoint_layer_info place", fill_layer_place, sizeof(mmoe_layer_place),
         sizeof(mmoe_layer_place), NULL},
        {"mmoe_support_query", fill_support, offsetof(mmoe_support, most_tensor_ranks),
         sizeof(mmoe_support), NULL},
        {"mmoe_bundle_plan", fill_bundle_plan, sizeof(mmoe_memory_plan), sizeof(mmoe_memory_plan),
         NULL},
        {"mmoe_executor_plan", fill_executor_plan, sizeof(mmoe_memory_plan),
         sizeof(mmoe_memory_plan), NULL},
        {"mmoe_executor_poll", fill_executor_findings, sizeof(mmoe_executor_findings),
         sizeof(mmoe_executor_findings), NULL},
        {"mmoe_load_poll", fill_load_progress, sizeof(mmoe_load_progress),
         sizeof(mmoe_load_progress), NULL},
        {"mmoe_bundle_info layer", fill_layer_of_bundle, sizeof(mmoe_layer), sizeof(mmoe_layer),
         NULL},
        {"mmoe_bundle_info description", fill_bundle_description, sizeof(mmoe_bundle_description),
         sizeof(mmoe_bundle_description), NULL},
        {"mmoe_marlin_describe", fill_marlin_description, sizeof(mmoe_marlin_description),
         sizeof(mmoe_marlin_description), NULL},
        {"mmoe_marlin_describe_experts", fill_marlin_experts, sizeof(mmoe_marlin_experts),
         sizeof(mmoe_marlin_experts), NULL},
    };
    for (size_t i = 0; i < sizeof kRows / sizeof *kRows; ++i) check_filled(*state, &kRows[i]);
}

/* An error is filled as far as it reaches, and never makes a call fail. */
static void errors_are_filled_as_far_as_they_reach(void** state) {
    (void)state;
    const uint32_t sizes[] = {0, 24, 255, 256, 256 + kTailBytes, kImplausible};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const int whole = sizes[i] == 0 || sizes[i] == kImplausible;
        const uint32_t memory_bytes = whole ? 256 : sizes[i];
        unsigned char* memory = guarded(memory_bytes);
        for (uint32_t byte = 256; byte < memory_bytes; ++byte) memory[byte] = kCanary;
        write_struct_size(memory, sizes[i]);
        assert_int_equal(mmoe_device_count(MMOE_DEVICE_CPU, NULL, (mmoe_error*)(void*)memory),
                         MMOE_ERR_NULL_POINTER);
        mmoe_status status = MMOE_OK;
        memcpy(&status, memory + offsetof(mmoe_error, status), sizeof status);
        assert_int_equal(status, MMOE_ERR_NULL_POINTER);
        if (memory_bytes > 32) assert_int_not_equal(memory[offsetof(mmoe_error, message)], 0);
        for (uint32_t byte = 256; byte < memory_bytes; ++byte) assert_int_equal(memory[byte], 0);
        for (int byte = 0; byte < kCanaryBytes; ++byte) {
            assert_int_equal(memory[memory_bytes + byte], kCanary);
        }
        free(memory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(given_structures_follow_the_rule),
        cmocka_unit_test(filled_structures_follow_the_rule),
        cmocka_unit_test(errors_are_filled_as_far_as_they_reach),
    };
    return cmocka_run_group_tests_name("abi_struct_size", tests, tiny_layer_setup,
                                       tiny_layer_teardown);
}
