/* SPDX-License-Identifier: Apache-2.0 */
#include "abi/tiny_layer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(_WIN32)
    #include <direct.h>
#else
    #include <sys/stat.h>
#endif

#include <cmocka.h>

static const char kConfigJson[] =
    "{\"model_type\": \"qwen3_moe\", \"architectures\": [\"Qwen3MoeForCausalLM\"],\n"
    " \"hidden_size\": 64, \"moe_intermediate_size\": 32, \"num_experts\": 1,\n"
    " \"num_experts_per_tok\": 1, \"num_hidden_layers\": 1, \"hidden_act\": \"silu\",\n"
    " \"quantization_config\": {\"quant_method\": \"compressed-tensors\",\n"
    "  \"format\": \"pack-quantized\", \"quantization_status\": \"compressed\",\n"
    "  \"ignore\": [\"lm_head\"],\n"
    "  \"config_groups\": {\"group_0\": {\"targets\": [\"Linear\"], \"input_activations\": null,\n"
    "   \"weights\": {\"num_bits\": 4, \"type\": \"int\", \"symmetric\": false,\n"
    "    \"strategy\": \"group\", \"group_size\": 32, \"actorder\": null}}}}}\n";

/* N and K of a projection. */
struct Linear {
    const char* name;
    mmoe_projection projection;
    int outputs, inputs;
};
static const struct Linear kLinears[] = {
    {"gate_proj", MMOE_PROJECTION_GATE, kTinyIntermediate, kTinyHidden},
    {"up_proj", MMOE_PROJECTION_UP, kTinyIntermediate, kTinyHidden},
    {"down_proj", MMOE_PROJECTION_DOWN, kTinyHidden, kTinyIntermediate},
};
enum { kLinearCount = sizeof kLinears / sizeof *kLinears };

/* A tensor of a projection; all its data are zero bytes. */
struct Part {
    const char* suffix;
    const char* type_name;
    mmoe_role role;
    mmoe_dtype dtype;
    int element_bytes;
};
static const struct Part kParts[] = {
    {"weight_packed", "I32", MMOE_ROLE_WEIGHT, MMOE_DTYPE_I32, 4},
    {"weight_scale", "BF16", MMOE_ROLE_SCALE, MMOE_DTYPE_BF16, 2},
    {"weight_zero_point", "I32", MMOE_ROLE_ZERO_POINT, MMOE_DTYPE_I32, 4},
};
enum { kPartCount = sizeof kParts / sizeof *kParts };

static unsigned char zeros[kTinyHidden * kTinyHidden];

static mmoe_tensor part_tensor(const struct Linear* linear, const struct Part* part) {
    mmoe_tensor tensor = {.data = zeros, .dtype = part->dtype, .rank = 2};
    const int groups = linear->inputs / kTinyGroup;
    tensor.shape[0] = linear->outputs;
    tensor.shape[1] = groups;
    if (part->role == MMOE_ROLE_WEIGHT) tensor.shape[1] = linear->inputs / 8;
    if (part->role == MMOE_ROLE_ZERO_POINT) tensor.shape[0] = linear->outputs / 8;
    return tensor;
}

mmoe_tensor tiny_gate_scale(void) {
    return part_tensor(&kLinears[0], &kParts[1]);
}

void tiny_expert_tensors(mmoe_expert_tensor tensors[kTinyTensorCount]) {
    for (int i = 0; i < kTinyTensorCount; ++i) {
        const struct Linear* linear = &kLinears[i / kPartCount];
        const struct Part* part = &kParts[i % kPartCount];
        tensors[i] =
            (mmoe_expert_tensor){linear->projection, part->role, part_tensor(linear, part)};
    }
}

mmoe_marlin_matrix tiny_marlin_matrix(void) {
    return (mmoe_marlin_matrix){.struct_size = sizeof(mmoe_marlin_matrix),
                                .expert_count = 1,
                                .inputs = kTinyIntermediate,
                                .outputs = kTinyHidden};
}

mmoe_marlin_args tiny_marlin_args(void) {
    static float file[kTinyHidden], marlin[kTinyHidden];
    mmoe_marlin_args args = {.struct_size = sizeof args, .role = MMOE_ROLE_BIAS};
    args.file =
        (mmoe_tensor){.data = file, .dtype = MMOE_DTYPE_F32, .rank = 2, .shape = {1, kTinyHidden}};
    args.marlin = args.file;
    args.marlin.data = marlin;
    return args;
}

mmoe_marlin_experts tiny_marlin_experts(void) {
    enum { kPadded = 64, kGroups = kPadded / kTinyGroup }; /* both H and I */
    static uint32_t w13_weight[kPadded * kPadded * 2 / 8], w2_weight[kPadded * kPadded / 8];
    static uint32_t w13_zero[kGroups * kPadded * 2 / 8], w2_zero[kGroups * kPadded / 8];
    static uint16_t w13_scale[kGroups * kPadded * 2], w2_scale[kGroups * kPadded];
    const mmoe_dtype words = MMOE_DTYPE_I32, scales = MMOE_DTYPE_BF16;
    return (mmoe_marlin_experts){
        .struct_size = sizeof(mmoe_marlin_experts),
        .w13 = {.weight = {w13_weight, words, 3, {1, kPadded / 16, kPadded * 4}, {0}},
                .scale = {w13_scale, scales, 3, {1, kGroups, kPadded * 2}, {0}},
                .zero_point = {w13_zero, words, 3, {1, kGroups, kPadded / 4}, {0}}},
        .w2 = {.weight = {w2_weight, words, 3, {1, kPadded / 16, kPadded * 2}, {0}},
               .scale = {w2_scale, scales, 3, {1, kGroups, kPadded}, {0}},
               .zero_point = {w2_zero, words, 3, {1, kGroups, kPadded / 8}, {0}}}};
}

const char* tiny_checkpoint_path(void) {
    return MMOE_TEST_SCRATCH "/tiny_checkpoint";
}

static void make_checkpoint_folder(void) {
#if defined(_WIN32)
    _mkdir(tiny_checkpoint_path());
#else
    mkdir(tiny_checkpoint_path(), 0777);
#endif
}

static void write_file(const char* name, const void* data, size_t size_bytes) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", tiny_checkpoint_path(), name);
    FILE* file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

/* safetensors: u64 header length, JSON header, data. */
static void write_safetensors(void) {
    static unsigned char file[16384];
    char* header = (char*)file + 8;
    int length = 0, data_bytes = 0;
    for (int l = 0; l < kLinearCount; ++l) {
        for (int p = 0; p < kPartCount; ++p) {
            const mmoe_tensor tensor = part_tensor(&kLinears[l], &kParts[p]);
            const int rows = (int)tensor.shape[0], columns = (int)tensor.shape[1];
            const int end = data_bytes + rows * columns * kParts[p].element_bytes;
            length += sprintf(header + length,
                              "%c\"model.layers.0.mlp.experts.0.%s.%s\": {\"dtype\": \"%s\", "
                              "\"shape\": [%d, %d], \"data_offsets\": [%d, %d]}",
                              length == 0 ? '{' : ',', kLinears[l].name, kParts[p].suffix,
                              kParts[p].type_name, rows, columns, data_bytes, end);
            data_bytes = end;
        }
    }
    length += sprintf(header + length, "}");
    while (length % 8 != 0) header[length++] = ' ';
    for (int i = 0; i < 8; ++i) file[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memset(header + length, 0, (size_t)data_bytes);
    write_file("model.safetensors", file, (size_t)(8 + length + data_bytes));
}

mmoe_bundle* tiny_complete_bundle(const struct TinyLayer* tiny) {
    mmoe_bundle* bundle = NULL;
    mmoe_error error = {0};
    mmoe_bundle_create(tiny->context, tiny->config, &tiny->layer, NULL, &bundle, &error);
    mmoe_expert_tensor parts[kTinyTensorCount];
    tiny_expert_tensors(parts);
    for (int i = 0; i < kTinyTensorCount && error.status == MMOE_OK; ++i) {
        mmoe_bundle_set(bundle, 0, parts[i].projection, parts[i].role, &parts[i].tensor, &error);
    }
    assert_string_equal(error.message, "");
    return bundle;
}

mmoe_run_args tiny_run_args(void) {
    static float hidden[kTinyHidden], output[kTinyHidden], weight;
    static int32_t id;
    mmoe_run_args args = {.struct_size = sizeof args};
    args.hidden = (mmoe_tensor){hidden, MMOE_DTYPE_F32, 2, {1, kTinyHidden}, {0}};
    args.expert_ids = (mmoe_tensor){&id, MMOE_DTYPE_I32, 2, {1, 1}, {0}};
    args.expert_weights = (mmoe_tensor){&weight, MMOE_DTYPE_F32, 2, {1, 1}, {0}};
    args.output = (mmoe_tensor){output, MMOE_DTYPE_F32, 2, {1, kTinyHidden}, {0}};
    return args;
}

mmoe_route_args tiny_route_args(void) {
    static float logit, weight;
    static int32_t id;
    mmoe_route_args args = {.struct_size = sizeof args};
    args.logits = (mmoe_tensor){&logit, MMOE_DTYPE_F32, 2, {1, 1}, {0}};
    args.expert_ids = (mmoe_tensor){&id, MMOE_DTYPE_I32, 2, {1, 1}, {0}};
    args.expert_weights = (mmoe_tensor){&weight, MMOE_DTYPE_F32, 2, {1, 1}, {0}};
    return args;
}

static mmoe_status make_objects(struct TinyLayer* tiny, mmoe_error* error) {
    const mmoe_context_options cpu = {
        .struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU, .thread_count = 1};
    const mmoe_quant_fields fields = {.struct_size = sizeof fields,
                                      .bits = 4,
                                      .group_size = kTinyGroup,
                                      .symmetry = MMOE_ASYMMETRIC,
                                      .scale_dtype = MMOE_DTYPE_BF16};
    mmoe_status status = mmoe_context_create(&cpu, &tiny->context, error);
    if (status == MMOE_OK) status = mmoe_quant_config_create(&fields, &tiny->config, error);
    if (status == MMOE_OK) {
        status = mmoe_checkpoint_open(tiny->context, tiny_checkpoint_path(), NULL,
                                      &tiny->checkpoint, error);
    }
    if (status == MMOE_OK) {
        status = mmoe_bundle_create(tiny->context, tiny->config, &tiny->layer, NULL, &tiny->filling,
                                    error);
    }
    if (status == MMOE_OK) {
        tiny->sealed = tiny_complete_bundle(tiny);
        status = mmoe_bundle_seal(tiny->sealed, error);
    }
    if (status == MMOE_OK) {
        status = mmoe_executor_create(tiny->context, tiny->sealed, &tiny->executor_options,
                                      &tiny->executor, error);
    }
    return status;
}

int tiny_layer_setup(void** state) {
    struct TinyLayer* tiny = calloc(1, sizeof *tiny);
    assert_non_null(tiny);
    *state = tiny;
    tiny->layer = (mmoe_layer){.struct_size = sizeof tiny->layer,
                               .expert_count = 1,
                               .hidden_size = kTinyHidden,
                               .intermediate_size = kTinyIntermediate};
    tiny->executor_options = (mmoe_executor_options){.struct_size = sizeof tiny->executor_options,
                                                     .max_tokens = 1,
                                                     .max_top_k = 1,
                                                     .hidden_dtype = MMOE_DTYPE_F32};
    make_checkpoint_folder();
    write_file("config.json", kConfigJson, strlen(kConfigJson));
    write_safetensors();
    mmoe_error error = {0};
    if (make_objects(tiny, &error) != MMOE_OK) fail_msg("setup: %s", error.message);
    return 0;
}

int tiny_layer_teardown(void** state) {
    struct TinyLayer* tiny = *state;
    mmoe_executor_destroy(tiny->executor);
    mmoe_bundle_destroy(tiny->sealed);
    mmoe_bundle_destroy(tiny->filling);
    mmoe_checkpoint_destroy(tiny->checkpoint);
    mmoe_quant_config_destroy(tiny->config);
    mmoe_context_destroy(tiny->context);
    free(tiny);
    return 0;
}
