/* SPDX-License-Identifier: Apache-2.0
 * Short answers to "how do I ...", one function each; the cookbook of the documentation shows them.
 * Every recipe checks what it claims.
 *
 *     cc recipes.c -lmarlin_moe -lm;  ./a.out path/to/model scratch_file
 */
#include <marlin_moe.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kTokens = 3 /* T */, kTopK = 2, kMaxHidden = 4096 };

static const int32_t kIds[kTokens * kTopK] = {0, 1, 2, 3, 1, 0};
static const float kWeights[kTokens * kTopK] = {0.75f, 0.25f, 0.5f, 0.5f, 0.9f, 0.1f};

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

static void expect(int condition, const char* what) {
    printf("%s: %s\n", what, condition ? "ok" : "FAIL");
    if (!condition) exit(1);
}

static mmoe_tensor matrix(const void* data, mmoe_dtype dtype, uint32_t rows, uint32_t columns) {
    mmoe_tensor tensor = {.data = (void*)(uintptr_t)data, /* inputs are not written to */
                          .dtype = dtype,
                          .rank = 2,
                          .shape = {rows, columns}};
    return tensor;
}

/* Runs the same tokens through any bundle of the layer; output is [T, H]. */
static void run(mmoe_context* context, const mmoe_bundle* bundle, float* output) {
    static float hidden[kTokens * kMaxHidden];
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = kTopK,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    mmoe_error error = {0};
    mmoe_layer layer = {.struct_size = sizeof layer};
    mmoe_executor* executor;
    check(mmoe_bundle_info(bundle, &layer, NULL, &error), &error);
    if (layer.hidden_size > kMaxHidden) exit(1);
    for (uint32_t i = 0; i < kTokens * layer.hidden_size; ++i) hidden[i] = sinf(0.1f * (float)i);
    check(mmoe_executor_create(context, bundle, &limits, &executor, &error), &error);
    const mmoe_run_args args = {
        .struct_size = sizeof args,
        .hidden = matrix(hidden, MMOE_DTYPE_F32, kTokens, layer.hidden_size),
        .expert_ids = matrix(kIds, MMOE_DTYPE_I32, kTokens, kTopK),
        .expert_weights = matrix(kWeights, MMOE_DTYPE_F32, kTokens, kTopK),
        .output = matrix(output, MMOE_DTYPE_F32, kTokens, layer.hidden_size)};
    check(mmoe_executor_run(executor, bundle, &args, NULL, &error), &error);
    mmoe_executor_destroy(executor);
}

/* [list tensors] */
/* Names, types and places of everything in a checkpoint, from headers alone. */
static uint64_t sum_tensor_bytes(const mmoe_checkpoint* model) {
    uint64_t sum_bytes = 0;
    mmoe_error error = {0};
    const uint64_t count = mmoe_checkpoint_tensor_count(model);
    for (uint64_t i = 0; i < count; ++i) {
        mmoe_tensor_info info = {.struct_size = sizeof info};
        check(mmoe_checkpoint_tensor_at(model, i, &info, &error), &error);
        sum_bytes += info.byte_count; /* info.name, info.shape, info.file_offset ... */
    }
    return sum_bytes;
}
/* [list tensors] */

/* [quant config] */
/* How one linear layer of a model was quantised, as its config.json says. */
static mmoe_quant_fields read_quant_fields(const char* model_directory, const char* module) {
    mmoe_error error = {0};
    mmoe_quant_config* config;
    mmoe_quant_fields fields = {.struct_size = sizeof fields};
    check(mmoe_quant_config_load(model_directory, module, &config, &error), &error);
    check(mmoe_quant_config_info(config, &fields, &error), &error);
    mmoe_quant_config_destroy(config);
    return fields;
}
/* [quant config] */

/* [plan] */
/* Bytes that a layer and its executor will take, before anything is read. */
static uint64_t plan_bytes(mmoe_context* context, const mmoe_checkpoint* model, uint32_t index) {
    mmoe_error error = {0};
    mmoe_layer layer = {.struct_size = sizeof layer};
    mmoe_quant_config* config;
    mmoe_memory_plan bundle = {.struct_size = sizeof bundle};
    mmoe_memory_plan executor = {.struct_size = sizeof executor};
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = kTopK,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    check(mmoe_checkpoint_layer_info(model, index, &layer, NULL, &config, &error), &error);
    check(mmoe_bundle_plan(context, config, &layer, NULL, &bundle, &error), &error);
    check(mmoe_executor_plan(context, config, &layer, &limits, &executor, &error), &error);
    mmoe_quant_config_destroy(config);
    return bundle.resident_bytes + executor.resident_bytes;
}
/* [plan] */

/* [save and open] */
/* Repack once, keep the result: opening it is one copy. */
static mmoe_bundle* save_and_open(mmoe_context* context, const mmoe_bundle* bundle,
                                  const char* path) {
    mmoe_error error = {0};
    mmoe_bundle* opened;
    check(mmoe_bundle_save(bundle, path, &error), &error); /* whole under its name, or not at all */
    check(mmoe_bundle_open(context, path, NULL, &opened, &error), &error);
    return opened;
}
/* [save and open] */

/* [expert cache] */
/* Room for a few experts only: before each batch, put the chosen ones in, and the one that has
 * waited longest out. */
struct ExpertCache {
    mmoe_bundle* bundle; /* made with slot_count below the number of experts */
    const mmoe_checkpoint* model;
    uint32_t slots, used;
    int32_t expert[8]; /* those resident, longest first */
};

static void ensure_resident(struct ExpertCache* cache, int32_t expert) {
    uint32_t place = 0;
    while (place < cache->used && cache->expert[place] != expert) ++place;
    mmoe_error error = {0};
    if (place == cache->used) { /* not here */
        if (cache->used == cache->slots) {
            place = 0;
            const uint32_t oldest = (uint32_t)cache->expert[0];
            check(mmoe_bundle_evict(cache->bundle, oldest, &error), &error);
        } else {
            ++cache->used;
        }
        check(mmoe_bundle_put_from(cache->bundle, cache->model, 0, (uint32_t)expert, &error),
              &error);
    }
    for (; place + 1 < cache->used; ++place) cache->expert[place] = cache->expert[place + 1];
    cache->expert[cache->used - 1] = expert;
}
/* [expert cache] */

/* [tensor parallel] */
/* One rank of two: half of every expert's intermediate channels. The sum of the ranks' outputs is
 * the layer's output; on real ranks, an all-reduce. */
static mmoe_bundle* load_rank(mmoe_context* context, const mmoe_checkpoint* model, uint32_t rank) {
    const mmoe_bundle_options half = {.struct_size = sizeof half,
                                      .split = {.tensor_ranks = 2, .tensor_rank = rank}};
    mmoe_error error = {0};
    mmoe_bundle* bundle;
    check(mmoe_bundle_load(context, model, 0, &half, &bundle, &error), &error);
    return bundle;
}
/* [tensor parallel] */

/* [act on a status] */
/* Programs branch on the status or its category; the sentence is for people. */
static const char* advise(mmoe_status status) {
    switch (status) {
        case MMOE_ERR_BUSY:
            return "another thread is in this object: one executor a thread";
        case MMOE_ERR_CANCELLED:
            return "somebody asked to stop";
        case MMOE_ERR_MEMORY_BUDGET:
            return "raise the budget, or keep fewer experts resident";
        default:
            break;
    }
    switch (status / 1000) {
        case 2:
            return "free something, or split the layer over ranks";
        case 3:
            return "look at os_errno; retry what may pass";
        case 4:
            return "get the file again";
        case 5:
            return "ask mmoe_support_query for the smallest change that helps";
        case 6:
            return "fall back to the CPU";
        default:
            return "fix the program";
    }
}
/* [act on a status] */

/* ---- Each recipe, checked ------------------------------------------------------------------- */

static double largest_difference(const float* a, const float* b, size_t count) {
    double largest = 0;
    for (size_t i = 0; i < count; ++i) {
        const double difference = fabs((double)a[i] - b[i]);
        if (difference > largest) largest = difference;
    }
    return largest;
}

static void check_cache(mmoe_context* context, const mmoe_checkpoint* model, const float* want,
                        uint32_t hidden_size) {
    static float output[kTokens * kMaxHidden];
    const mmoe_bundle_options few = {.struct_size = sizeof few, .slot_count = 4};
    mmoe_error error = {0};
    struct ExpertCache cache = {.model = model, .slots = few.slot_count};
    check(mmoe_bundle_load(context, model, 0, &few, &cache.bundle, &error), &error);
    for (int32_t stranger = 5; stranger >= 4; --stranger) ensure_resident(&cache, stranger);
    for (int slot = 0; slot < kTokens * kTopK; ++slot) ensure_resident(&cache, kIds[slot]);
    run(context, cache.bundle, output);
    expect(memcmp(output, want, sizeof *want * kTokens * hidden_size) == 0,
           "four resident experts give the same bits");
    mmoe_bundle_destroy(cache.bundle);
}

static void check_ranks(mmoe_context* context, const mmoe_checkpoint* model, const float* want,
                        uint32_t hidden_size) {
    static float output[2][kTokens * kMaxHidden];
    const size_t count = (size_t)kTokens * hidden_size;
    for (uint32_t rank = 0; rank < 2; ++rank) {
        mmoe_bundle* bundle = load_rank(context, model, rank);
        run(context, bundle, output[rank]);
        mmoe_bundle_destroy(bundle);
    }
    static const float kZeros[kTokens * kMaxHidden];
    const double size = largest_difference(want, kZeros, count);
    for (size_t i = 0; i < count; ++i) output[0][i] += output[1][i];
    /* The ranks round their intermediate values apart: the default precision twice. */
    expect(largest_difference(output[0], want, count) < 1e-3 * size, "two ranks add up");
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL_DIRECTORY SCRATCH_FILE\n", argv[0]);
        return 2;
    }
    static float want[kTokens * kMaxHidden], output[kTokens * kMaxHidden];
    const mmoe_context_options cpu = {.struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU};
    mmoe_error error = {0};
    mmoe_context* context;
    mmoe_checkpoint* model;
    mmoe_bundle* bundle;
    mmoe_layer layer = {.struct_size = sizeof layer};
    mmoe_bundle_description description = {.struct_size = sizeof description};
    check(mmoe_context_create(&cpu, &context, &error), &error);
    check(mmoe_checkpoint_open(context, argv[1], NULL, &model, &error), &error);
    check(mmoe_bundle_load(context, model, 0, NULL, &bundle, &error), &error);
    check(mmoe_bundle_info(bundle, &layer, &description, &error), &error);
    run(context, bundle, want);

    expect(sum_tensor_bytes(model) > 0, "tensors are listed");
    const char* module = "model.layers.0.mlp.experts.0.gate_proj";
    expect(read_quant_fields(argv[1], module).bits == 4, "config.json says 4 bits");
    expect(plan_bytes(context, model, 0) > description.resident_bytes, "the plan holds");
    mmoe_bundle* opened = save_and_open(context, bundle, argv[2]);
    run(context, opened, output);
    expect(memcmp(output, want, sizeof *want * kTokens * layer.hidden_size) == 0,
           "a saved bundle gives the same bits");
    mmoe_bundle_destroy(opened);
    check_cache(context, model, want, layer.hidden_size);
    check_ranks(context, model, want, layer.hidden_size);
    const mmoe_status status = mmoe_bundle_open(context, "no such file", NULL, &opened, &error);
    expect(status == MMOE_ERR_NOT_FOUND && opened == NULL, "an error leaves nothing to free");
    printf("%s: %s; %s\n", mmoe_status_name(status), error.message, advise(status));

    mmoe_bundle_destroy(bundle);
    mmoe_checkpoint_destroy(model);
    mmoe_context_destroy(context);
    return 0;
}
