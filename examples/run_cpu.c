/* SPDX-License-Identifier: Apache-2.0
 * A MoE layer whose weights are in memory: fill a bundle tensor by tensor, seal it, run it on the
 * CPU, and compare one token with plain arithmetic. Ends with 1 if they differ.
 *
 *     cc run_cpu.c -lmarlin_moe -lm
 */
#include <marlin_moe.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    kExperts = 4,       /* E */
    kTopK = 2,          /* experts of a token */
    kHidden = 64,       /* H */
    kIntermediate = 96, /* I */
    kGroup = 32,        /* weights that share a scale and a zero point */
    kTokens = 3,        /* T */
    kMaxWords = kIntermediate * kHidden / 8
};

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

/* ---- The weights: any numbers will do, as long as they can be asked for twice ---------------- */

static uint32_t mix(uint32_t a, uint32_t b, uint32_t c) {
    uint32_t hash = a * 0x9E3779B1u ^ b * 0x85EBCA77u ^ c * 0xC2B2AE3Du;
    hash = (hash ^ hash >> 15) * 0x2C1B3C6Du;
    return hash ^ hash >> 13;
}

/* One projection of one expert. */
struct Linear {
    uint32_t seed;
    int outputs; /* N */
    int inputs;  /* K */
};

static struct Linear linear_of(int expert, mmoe_projection projection) {
    struct Linear linear = {(uint32_t)(expert * 8 + projection), kIntermediate, kHidden};
    if (projection == MMOE_PROJECTION_DOWN) {
        linear.outputs = kHidden;
        linear.inputs = kIntermediate;
    }
    return linear;
}

static uint32_t code_at(struct Linear linear, int n, int k) {
    return mix(linear.seed, (uint32_t)n, (uint32_t)k) & 15;
}
static uint32_t zero_at(struct Linear linear, int n, int group) {
    return mix(linear.seed + 1000, (uint32_t)n, (uint32_t)group) & 15;
}
static float scale_at(int n) {
    return (float)(1 + n % 3) / 256;
} /* exact in bf16 */

static double weight_at(struct Linear linear, int n, int k) {
    return ((double)code_at(linear, n, k) - zero_at(linear, n, k / kGroup)) * scale_at(n);
}

/* ---- Filling the bundle, in the packing of compressed-tensors -------------------------------- */

static mmoe_tensor matrix(void* data, mmoe_dtype dtype, int rows, int columns) {
    mmoe_tensor tensor = {.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
    return tensor;
}

/* [fill a bundle] */
static void set_projection(mmoe_bundle* bundle, int expert, mmoe_projection projection) {
    static int32_t codes[kMaxWords];   /* [N, K/8]: eight codes a word, along K */
    static int32_t zeros[kMaxWords];   /* [N/8, G]: eight zero points a word, along N */
    static uint16_t scales[kMaxWords]; /* [N, G] bf16 */
    const struct Linear linear = linear_of(expert, projection);
    const int n_count = linear.outputs, k_count = linear.inputs, groups = k_count / kGroup;
    memset(codes, 0, sizeof codes);
    memset(zeros, 0, sizeof zeros);
    for (int n = 0; n < n_count; ++n) {
        const float scale = scale_at(n);
        uint32_t scale_bits;
        memcpy(&scale_bits, &scale, sizeof scale_bits);
        for (int k = 0; k < k_count; ++k)
            codes[(n * k_count + k) / 8] |= (int32_t)(code_at(linear, n, k) << k % 8 * 4);
        for (int group = 0; group < groups; ++group) {
            zeros[n / 8 * groups + group] |= (int32_t)(zero_at(linear, n, group) << n % 8 * 4);
            scales[n * groups + group] = (uint16_t)(scale_bits >> 16);
        }
    }
    const mmoe_tensor weight = matrix(codes, MMOE_DTYPE_I32, n_count, k_count / 8);
    const mmoe_tensor zero = matrix(zeros, MMOE_DTYPE_I32, n_count / 8, groups);
    const mmoe_tensor scale = matrix(scales, MMOE_DTYPE_BF16, n_count, groups);
    mmoe_error error = {0};
    const uint32_t e = (uint32_t)expert;
    check(mmoe_bundle_set(bundle, e, projection, MMOE_ROLE_WEIGHT, &weight, &error), &error);
    check(mmoe_bundle_set(bundle, e, projection, MMOE_ROLE_ZERO_POINT, &zero, &error), &error);
    check(mmoe_bundle_set(bundle, e, projection, MMOE_ROLE_SCALE, &scale, &error), &error);
}

static mmoe_bundle* make_bundle(mmoe_context* context) {
    const mmoe_quant_fields fields = {.struct_size = sizeof fields,
                                      .format = MMOE_FORMAT_COMPRESSED_TENSORS,
                                      .bits = 4,
                                      .group_size = kGroup,
                                      .symmetry = MMOE_ASYMMETRIC};
    const mmoe_layer layer = {.struct_size = sizeof layer,
                              .expert_count = kExperts,
                              .hidden_size = kHidden,
                              .intermediate_size = kIntermediate};
    mmoe_error error = {0};
    mmoe_quant_config* config;
    mmoe_bundle* bundle;
    check(mmoe_quant_config_create(&fields, &config, &error), &error);
    check(mmoe_bundle_create(context, config, &layer, NULL, &bundle, &error), &error);
    mmoe_quant_config_destroy(config); /* the bundle keeps what it needs */
    for (int expert = 0; expert < kExperts; ++expert) {
        set_projection(bundle, expert, MMOE_PROJECTION_GATE);
        set_projection(bundle, expert, MMOE_PROJECTION_UP);
        set_projection(bundle, expert, MMOE_PROJECTION_DOWN);
    }
    check(mmoe_bundle_seal(bundle, &error), &error);
    return bundle;
}
/* [fill a bundle] */

/* ---- The same layer for one token, in plain loops -------------------------------------------- */

static double dot_row(struct Linear linear, int n, const double* x) {
    double sum = 0;
    for (int k = 0; k < linear.inputs; ++k) sum += weight_at(linear, n, k) * x[k];
    return sum;
}

static void plain_token(const float* hidden, const int32_t* ids, const float* weights,
                        double* output) {
    double x[kHidden], inner[kIntermediate];
    for (int h = 0; h < kHidden; ++h) {
        x[h] = hidden[h];
        output[h] = 0;
    }
    for (int slot = 0; slot < kTopK; ++slot) {
        for (int i = 0; i < kIntermediate; ++i) {
            const double a = dot_row(linear_of(ids[slot], MMOE_PROJECTION_GATE), i, x);
            const double u = dot_row(linear_of(ids[slot], MMOE_PROJECTION_UP), i, x);
            inner[i] = a / (1 + exp(-a)) * u;
        }
        for (int h = 0; h < kHidden; ++h)
            output[h] +=
                weights[slot] * dot_row(linear_of(ids[slot], MMOE_PROJECTION_DOWN), h, inner);
    }
}

static double relative_error(const float* got, const double* want) {
    double difference = 0, size = 0;
    for (int h = 0; h < kHidden; ++h) {
        difference += (got[h] - want[h]) * (got[h] - want[h]);
        size += want[h] * want[h];
    }
    return sqrt(difference / size);
}

int main(void) {
    static float hidden[kTokens * kHidden], output[kTokens * kHidden];
    static int32_t ids[kTokens * kTopK] = {0, 1, 2, 3, 3, 0};
    static float weights[kTokens * kTopK] = {0.7f, 0.3f, 0.5f, 0.5f, 0.9f, 0.1f};
    for (int i = 0; i < kTokens * kHidden; ++i) hidden[i] = sinf((float)i);

    const mmoe_context_options cpu = {.struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU};
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = kTopK,
                                          .hidden_dtype = MMOE_DTYPE_F32,
                                          .precision = MMOE_PRECISION_EXACT};
    mmoe_error error = {0};
    mmoe_context* context;
    mmoe_executor* executor;
    check(mmoe_context_create(&cpu, &context, &error), &error);
    mmoe_bundle* bundle = make_bundle(context);
    check(mmoe_executor_create(context, bundle, &limits, &executor, &error), &error);

    const mmoe_run_args args = {.struct_size = sizeof args,
                                .hidden = matrix(hidden, MMOE_DTYPE_F32, kTokens, kHidden),
                                .expert_ids = matrix(ids, MMOE_DTYPE_I32, kTokens, kTopK),
                                .expert_weights = matrix(weights, MMOE_DTYPE_F32, kTokens, kTopK),
                                .output = matrix(output, MMOE_DTYPE_F32, kTokens, kHidden)};
    check(mmoe_executor_run(executor, bundle, &args, NULL, &error), &error);

    int failed = 0;
    for (int token = 0; token < kTokens; ++token) {
        double want[kHidden];
        plain_token(hidden + token * kHidden, ids + token * kTopK, weights + token * kTopK, want);
        const double difference = relative_error(output + token * kHidden, want);
        const int ok = difference <= 1e-5; /* fp32 sums, as MMOE_PRECISION_EXACT promises */
        printf("token %d: relative error %.1e %s\n", token, difference, ok ? "ok" : "FAIL");
        failed |= !ok;
    }
    mmoe_executor_destroy(executor);
    mmoe_bundle_destroy(bundle);
    mmoe_context_destroy(context);
    return failed;
}
