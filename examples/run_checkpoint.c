/* SPDX-License-Identifier: Apache-2.0
 * A MoE layer of a model directory, as an engine would run it: ask whether it can run, load it
 * with progress, choose experts from router logits, run.
 *
 *     cc run_checkpoint.c -lmarlin_moe -lm;  ./a.out path/to/model [layer]
 */
#include <marlin_moe.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { kTokens = 5 }; /* T */

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

/* [progress] */
static int32_t show_progress(void* user, uint64_t done_bytes, uint64_t total_bytes) {
    if (done_bytes == total_bytes)
        printf("%s: repacked %llu bytes\n", (const char*)user, (unsigned long long)total_bytes);
    return 0; /* anything else would stop the load */
}
/* [progress] */

/* [ask and load] */
/* Loads one layer, or says why it cannot run and what would help. */
static mmoe_bundle* load(mmoe_context* context, const mmoe_checkpoint* model, uint32_t index,
                         mmoe_layer* layer, mmoe_layer_place* place) {
    mmoe_error error = {0};
    mmoe_quant_config* config;
    mmoe_support support = {.struct_size = sizeof support};
    check(mmoe_checkpoint_layer_info(model, index, layer, place, &config, &error), &error);
    check(mmoe_support_query(context, config, layer, NULL, &support, &error), &error);
    mmoe_quant_config_destroy(config);
    if (!support.supported) {
        fprintf(stderr, "layer %u cannot run: %s; %s\n", index, support.sentence, support.remedy);
        exit(1);
    }
    const mmoe_bundle_options options = {.struct_size = sizeof options,
                                         .progress = &show_progress,
                                         .progress_user = (void*)(uintptr_t)place->experts_prefix};
    mmoe_bundle* bundle;
    check(mmoe_bundle_load(context, model, index, &options, &bundle, &error), &error);
    return bundle;
}
/* [ask and load] */

static mmoe_tensor matrix(void* data, mmoe_dtype dtype, uint32_t rows, uint32_t columns) {
    mmoe_tensor tensor = {.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
    return tensor;
}

static float* make_floats(size_t count, float step) {
    float* values = malloc(count * sizeof *values);
    if (values == NULL) exit(1);
    for (size_t i = 0; i < count; ++i) values[i] = sinf(step * (float)(i + 1));
    return values;
}

/* Prints one line a token; 0 if every number is finite and none of the rows is zero. */
static int show_output(const float* output, uint32_t hidden_size) {
    int failed = 0;
    for (int token = 0; token < kTokens; ++token) {
        double sum = 0;
        for (uint32_t h = 0; h < hidden_size; ++h) {
            const double value = output[(size_t)token * hidden_size + h];
            sum += value * value;
        }
        printf("token %d: root mean square %.6g\n", token, sqrt(sum / hidden_size));
        failed |= !(isfinite(sum) && sum > 0);
    }
    return failed;
}

/* Routes and runs a batch. An engine has hidden states and router logits; here they are made up. */
static int run_tokens(mmoe_context* context, const mmoe_bundle* bundle, const mmoe_layer* layer,
                      uint32_t top_k) {
    float* hidden = make_floats((size_t)kTokens * layer->hidden_size, 0.37f);
    float* logits = make_floats((size_t)kTokens * layer->expert_count, 1.3f);
    float* weights = make_floats((size_t)kTokens * top_k, 0);
    float* output = make_floats((size_t)kTokens * layer->hidden_size, 0);
    int32_t* ids = malloc((size_t)kTokens * top_k * sizeof *ids);
    if (ids == NULL) exit(1);
    mmoe_error error = {0};

    /* [route and run] */
    const mmoe_route_args route = {
        .struct_size = sizeof route,
        .renormalize = 1,
        .logits = matrix(logits, MMOE_DTYPE_F32, kTokens, layer->expert_count),
        .expert_ids = matrix(ids, MMOE_DTYPE_I32, kTokens, top_k),
        .expert_weights = matrix(weights, MMOE_DTYPE_F32, kTokens, top_k)};
    check(mmoe_route(context, &route, NULL, &error), &error);

    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = top_k,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    mmoe_executor* executor;
    check(mmoe_executor_create(context, bundle, &limits, &executor, &error), &error);
    const mmoe_run_args args = {
        .struct_size = sizeof args,
        .hidden = matrix(hidden, MMOE_DTYPE_F32, kTokens, layer->hidden_size),
        .expert_ids = route.expert_ids,
        .expert_weights = route.expert_weights,
        .output = matrix(output, MMOE_DTYPE_F32, kTokens, layer->hidden_size)};
    check(mmoe_executor_run(executor, bundle, &args, NULL, &error), &error);
    mmoe_executor_destroy(executor);
    /* [route and run] */

    const int failed = show_output(output, layer->hidden_size);
    free(ids);
    free(output);
    free(weights);
    free(logits);
    free(hidden);
    return failed;
}

int main(int argc, char** argv) {
    if (argc < 2) {
        fprintf(stderr, "usage: %s MODEL_DIRECTORY [LAYER]\n", argv[0]);
        return 2;
    }
    const uint32_t index = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    const mmoe_context_options cpu = {.struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU};
    mmoe_error error = {0};
    mmoe_context* context;
    mmoe_checkpoint* model;
    check(mmoe_context_create(&cpu, &context, &error), &error);
    check(mmoe_checkpoint_open(context, argv[1], NULL, &model, &error), &error);
    mmoe_layer layer = {.struct_size = sizeof layer};
    mmoe_layer_place place = {.struct_size = sizeof place};
    mmoe_bundle* bundle = load(context, model, index, &layer, &place);
    const int failed = run_tokens(context, bundle, &layer, place.top_k > 0 ? place.top_k : 1);
    mmoe_bundle_destroy(bundle);
    mmoe_checkpoint_destroy(model);
    mmoe_context_destroy(context);
    return failed;
}
