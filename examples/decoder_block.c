/* SPDX-License-Identifier: Apache-2.0
 * The second half of a decoder block, with the weights of a model directory:
 *
 *     y = x + experts(norm(x)),   routed by   softmax(router . norm(x))
 *
 * The norm and the router are small and stay in the program; the library chooses experts from the
 * logits and runs them. Compared with the same block in plain double arithmetic; ends with 1 if
 * they differ.
 *
 *     cc decoder_block.c -lmarlin_moe -lm;  ./a.out path/to/model
 */
#include <marlin_moe.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kTokens = 6 /* T */ };

struct Block {
    mmoe_context* context;
    mmoe_checkpoint* model;
    mmoe_bundle* bundle;
    mmoe_executor* executor;
    mmoe_layer layer;
    uint32_t top_k;
    float* norm;   /* [H] */
    float* router; /* [E, H] */
};

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

static void* allocate(size_t size_bytes) {
    void* memory = calloc(1, size_bytes);
    if (memory == NULL) exit(1);
    return memory;
}

/* ---- Weights that are not quantised: the program reads them as tensors ----------------------- */

static float half_to_float(uint16_t half) {
    const int exponent = half >> 10 & 31;
    const float mantissa = (float)(half & 1023);
    const float size =
        exponent == 0 ? ldexpf(mantissa, -24) : ldexpf(mantissa + 1024, exponent - 25);
    return half >> 15 != 0 ? -size : size; /* weights are finite */
}

static float bf16_to_float(uint16_t bits) {
    const uint32_t word = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

/* [read a tensor] */
/* Reads `<layer><name>` of the model as fp32; the caller frees it. */
static float* read_floats(const mmoe_checkpoint* model, const char* layer, const char* name,
                          size_t count) {
    char full_name[256];
    snprintf(full_name, sizeof full_name, "%s%s", layer, name);
    mmoe_error error = {0};
    mmoe_tensor_info info = {.struct_size = sizeof info};
    check(mmoe_checkpoint_tensor_find(model, full_name, &info, &error), &error);
    const int is_half = info.dtype == MMOE_DTYPE_F16;
    if ((!is_half && info.dtype != MMOE_DTYPE_BF16) || info.byte_count != 2 * count) {
        fprintf(stderr, "%s: expected %zu 16-bit numbers\n", full_name, count);
        exit(1);
    }
    uint16_t* raw = allocate(2 * count);
    check(mmoe_checkpoint_tensor_read(model, full_name, raw, 2 * count, &error), &error);
    float* values = allocate(count * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        values[i] = is_half ? half_to_float(raw[i]) : bf16_to_float(raw[i]);
    free(raw);
    return values;
}
/* [read a tensor] */

/* ---- The block ---------------------------------------------------------------------------- */

static void open_block(struct Block* block, const char* path) {
    const mmoe_context_options cpu = {.struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU};
    mmoe_error error = {0};
    mmoe_layer_place place = {.struct_size = sizeof place};
    block->layer.struct_size = sizeof block->layer;
    check(mmoe_context_create(&cpu, &block->context, &error), &error);
    check(mmoe_checkpoint_open(block->context, path, NULL, &block->model, &error), &error);
    check(mmoe_checkpoint_layer_info(block->model, 0, &block->layer, &place, NULL, &error), &error);
    check(mmoe_bundle_load(block->context, block->model, 0, NULL, &block->bundle, &error), &error);
    block->top_k = place.top_k;
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = block->top_k,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    check(mmoe_executor_create(block->context, block->bundle, &limits, &block->executor, &error),
          &error);
    char layer_name[64];
    snprintf(layer_name, sizeof layer_name, "model.layers.%u.", place.model_layer);
    const size_t H = block->layer.hidden_size, E = block->layer.expert_count;
    block->norm = read_floats(block->model, layer_name, "post_attention_layernorm.weight", H);
    block->router = read_floats(block->model, layer_name, "mlp.gate.weight", E * H);
}

static void close_block(struct Block* block) {
    free(block->router);
    free(block->norm);
    mmoe_executor_destroy(block->executor);
    mmoe_bundle_destroy(block->bundle);
    mmoe_checkpoint_destroy(block->model);
    mmoe_context_destroy(block->context);
}

static void normalise(const struct Block* block, const float* x, float* normed) {
    const uint32_t H = block->layer.hidden_size;
    double sum = 0;
    for (uint32_t h = 0; h < H; ++h) sum += (double)x[h] * x[h];
    const double scale = 1 / sqrt(sum / H + 1e-6);
    for (uint32_t h = 0; h < H; ++h) normed[h] = (float)(x[h] * scale) * block->norm[h];
}

static void multiply_router(const struct Block* block, const float* normed, float* logits) {
    const uint32_t H = block->layer.hidden_size;
    for (uint32_t e = 0; e < block->layer.expert_count; ++e) {
        double sum = 0;
        for (uint32_t h = 0; h < H; ++h)
            sum += (double)block->router[(size_t)e * H + h] * normed[h];
        logits[e] = (float)sum;
    }
}

static mmoe_tensor matrix(void* data, mmoe_dtype dtype, uint32_t rows, uint32_t columns) {
    mmoe_tensor tensor = {.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
    return tensor;
}

/* [decoder block] */
/* x [T, H] becomes x + experts(norm(x)); ids and weights [T, top_k] are kept for the comparison. */
static void run_block(const struct Block* block, float* x, int32_t* ids, float* weights) {
    const uint32_t H = block->layer.hidden_size, E = block->layer.expert_count;
    float* normed = allocate(sizeof *normed * kTokens * H); /* [T, H] */
    float* logits = allocate(sizeof *logits * kTokens * E); /* [T, E] */
    float* moe = allocate(sizeof *moe * kTokens * H);       /* [T, H] */
    for (int t = 0; t < kTokens; ++t) {
        normalise(block, x + (size_t)t * H, normed + (size_t)t * H);
        multiply_router(block, normed + (size_t)t * H, logits + (size_t)t * E);
    }
    mmoe_error error = {0};
    const mmoe_route_args route = {
        .struct_size = sizeof route,
        .renormalize = 1, /* "norm_topk_prob" in config.json */
        .logits = matrix(logits, MMOE_DTYPE_F32, kTokens, E),
        .expert_ids = matrix(ids, MMOE_DTYPE_I32, kTokens, block->top_k),
        .expert_weights = matrix(weights, MMOE_DTYPE_F32, kTokens, block->top_k)};
    check(mmoe_route(block->context, &route, NULL, &error), &error);
    const mmoe_run_args args = {.struct_size = sizeof args,
                                .hidden = matrix(normed, MMOE_DTYPE_F32, kTokens, H),
                                .expert_ids = route.expert_ids,
                                .expert_weights = route.expert_weights,
                                .output = matrix(moe, MMOE_DTYPE_F32, kTokens, H)};
    check(mmoe_executor_run(block->executor, block->bundle, &args, NULL, &error), &error);
    for (size_t i = 0; i < (size_t)kTokens * H; ++i) x[i] += moe[i]; /* the residual */
    free(moe);
    free(logits);
    free(normed);
}
/* [decoder block] */

/* ---- The same experts in plain loops --------------------------------------------------------- */

/* y [N] = W [N, K] . x [K]; W is one projection of one expert, dequantised. */
static void plain_project(const struct Block* block, int32_t expert, mmoe_projection projection,
                          const double* x, double* y) {
    const int is_down = projection == MMOE_PROJECTION_DOWN;
    const uint32_t H = block->layer.hidden_size, I = block->layer.intermediate_size;
    const uint32_t N = is_down ? H : I, K = is_down ? I : H;
    float* W = allocate(sizeof *W * N * K);
    mmoe_error error = {0};
    check(mmoe_checkpoint_dequantize(block->model, 0, (uint32_t)expert, projection, W,
                                     (size_t)N * K, &error),
          &error);
    for (uint32_t n = 0; n < N; ++n) {
        y[n] = 0;
        for (uint32_t k = 0; k < K; ++k) y[n] += (double)W[(size_t)n * K + k] * x[k];
    }
    free(W);
}

/* Adds the experts of one token to y [H]. */
static void plain_experts(const struct Block* block, const float* normed, const int32_t* ids,
                          const float* weights, double* y) {
    const uint32_t H = block->layer.hidden_size, I = block->layer.intermediate_size;
    double* buffer = allocate(sizeof *buffer * (2 * (size_t)H + 2 * (size_t)I));
    double *x = buffer, *down = x + H, *gate = down + H, *up = gate + I;
    for (uint32_t h = 0; h < H; ++h) x[h] = normed[h];
    for (uint32_t slot = 0; slot < block->top_k; ++slot) {
        plain_project(block, ids[slot], MMOE_PROJECTION_GATE, x, gate);
        plain_project(block, ids[slot], MMOE_PROJECTION_UP, x, up);
        for (uint32_t i = 0; i < I; ++i) gate[i] *= up[i] / (1 + exp(-gate[i]));
        plain_project(block, ids[slot], MMOE_PROJECTION_DOWN, gate, down);
        for (uint32_t h = 0; h < H; ++h) y[h] += weights[slot] * down[h];
    }
    free(buffer);
}

/* Relative L2 error of what the block added to one token: got - x against the plain experts. */
static double token_error(const struct Block* block, const float* x, const float* got,
                          const int32_t* ids, const float* weights) {
    const uint32_t H = block->layer.hidden_size;
    float* normed = allocate(sizeof *normed * H);
    double* want = allocate(sizeof *want * H);
    normalise(block, x, normed);
    plain_experts(block, normed, ids, weights, want);
    double difference = 0, size = 0;
    for (uint32_t h = 0; h < H; ++h) {
        const double added = (double)got[h] - x[h];
        difference += (added - want[h]) * (added - want[h]);
        size += want[h] * want[h];
    }
    free(want);
    free(normed);
    return sqrt(difference / size);
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL_DIRECTORY\n", argv[0]);
        return 2;
    }
    struct Block block = {0};
    open_block(&block, argv[1]);
    const uint32_t H = block.layer.hidden_size;
    const size_t count = (size_t)kTokens * H;
    float* before = allocate(count * sizeof *before);
    float* x = allocate(count * sizeof *x);
    int32_t* ids = allocate(sizeof *ids * kTokens * block.top_k);
    float* weights = allocate(sizeof *weights * kTokens * block.top_k);
    for (size_t i = 0; i < count; ++i) before[i] = sinf(0.37f * (float)(i + 1));
    memcpy(x, before, count * sizeof *x);
    run_block(&block, x, ids, weights);

    int failed = 0;
    for (int t = 0; t < kTokens; ++t) {
        const double error =
            token_error(&block, before + (size_t)t * H, x + (size_t)t * H,
                        ids + (size_t)t * block.top_k, weights + (size_t)t * block.top_k);
        const int ok = error <= 1e-3; /* the default precision promises 3e-4, x + moe adds 1e-7 */
        printf("token %d: first expert %d, relative error %.1e %s\n", t,
               ids[(size_t)t * block.top_k], error, ok ? "ok" : "FAIL");
        failed |= !ok;
    }
    free(weights);
    free(ids);
    free(x);
    free(before);
    close_block(&block);
    return failed;
}
