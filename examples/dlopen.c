/* SPDX-License-Identifier: Apache-2.0
 * The library as an optional plug-in: opened at run time, so that the program also starts where it
 * is not installed, or where its version does not fit. Runs one small layer with it, or without it
 * by plain loops; the answer is the same.
 *
 *     cc dlopen.c -ldl -lm;  ./a.out path/to/libmarlin_moe.so.0
 */
#include <dlfcn.h>
#include <marlin_moe.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { kHidden = 64 /* H */, kIntermediate = 32 /* I */, kGroup = 32 };

/* [functions] */
/* The functions that this program uses, with the types that the header declares. */
#define FUNCTIONS(DO)        \
    DO(version)              \
    DO(version_string)       \
    DO(device_count)         \
    DO(context_create)       \
    DO(context_destroy)      \
    DO(quant_config_create)  \
    DO(quant_config_destroy) \
    DO(bundle_create)        \
    DO(bundle_set)           \
    DO(bundle_seal)          \
    DO(bundle_destroy)       \
    DO(executor_create)      \
    DO(executor_run)         \
    DO(executor_destroy)

static struct {
#define MEMBER(name) __typeof__(&mmoe_##name) name;
    FUNCTIONS(MEMBER)
} moe;

/* Resolves all of them. memcpy, because C has no cast from a data to a function pointer. */
static int bind(void* library) {
    void* symbol;
#define FIND(name)                                                    \
    symbol = dlsym(library, "mmoe_" #name);                           \
    if (symbol == NULL) {                                             \
        printf("the library has no mmoe_" #name ": it is too old\n"); \
        return 0;                                                     \
    }                                                                 \
    memcpy(&moe.name, &symbol, sizeof symbol);
    FUNCTIONS(FIND)
    return 1;
}
/* [functions] */

/* [open] */
/* Returns the opened library, or NULL after saying why there is none. */
static void* open_library(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        printf("no library: %s\n", dlerror());
        return NULL;
    }
    if (bind(library)) {
        /* While the major version is 0, another minor version may break. */
        if (moe.version() >> 8 == (MMOE_VERSION_MAJOR << 8 | MMOE_VERSION_MINOR)) return library;
        printf("the library is version %s, expected %d.%d\n", moe.version_string(),
               MMOE_VERSION_MAJOR, MMOE_VERSION_MINOR);
    }
    dlclose(library);
    return NULL;
}
/* [open] */

/* ---- One layer: a single expert whose weights are all 1/64 ---------------------------------- */

static mmoe_tensor matrix(void* data, mmoe_dtype dtype, int rows, int columns) {
    mmoe_tensor tensor = {.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
    return tensor;
}

/* Codes of 9 with zero point 8 and scale 1/64. */
static mmoe_status set_projection(mmoe_bundle* bundle, mmoe_projection projection, int outputs,
                                  int inputs, mmoe_error* error) {
    uint32_t codes[kHidden * kIntermediate / 8];
    float scales[kHidden * kIntermediate / kGroup];
    for (size_t i = 0; i < sizeof codes / sizeof *codes; ++i) codes[i] = 0x99999999u;
    for (size_t i = 0; i < sizeof scales / sizeof *scales; ++i) scales[i] = 1.0f / 64;
    const mmoe_tensor weight = matrix(codes, MMOE_DTYPE_I32, outputs, inputs / 8);
    const mmoe_tensor scale = matrix(scales, MMOE_DTYPE_F32, outputs, inputs / kGroup);
    mmoe_status status = moe.bundle_set(bundle, 0, projection, MMOE_ROLE_WEIGHT, &weight, error);
    if (status == MMOE_OK)
        status = moe.bundle_set(bundle, 0, projection, MMOE_ROLE_SCALE, &scale, error);
    return status;
}

static mmoe_status make_bundle(mmoe_context* context, mmoe_bundle** bundle, mmoe_error* error) {
    const mmoe_quant_fields fields = {.struct_size = sizeof fields,
                                      .bits = 4,
                                      .group_size = kGroup,
                                      .scale_dtype = MMOE_DTYPE_F32};
    const mmoe_layer layer = {.struct_size = sizeof layer,
                              .expert_count = 1,
                              .hidden_size = kHidden,
                              .intermediate_size = kIntermediate};
    mmoe_quant_config* config;
    mmoe_status status = moe.quant_config_create(&fields, &config, error);
    if (status == MMOE_OK) status = moe.bundle_create(context, config, &layer, NULL, bundle, error);
    moe.quant_config_destroy(config); /* NULL is fine, and the bundle keeps what it needs */
    if (status == MMOE_OK)
        status = set_projection(*bundle, MMOE_PROJECTION_GATE, kIntermediate, kHidden, error);
    if (status == MMOE_OK)
        status = set_projection(*bundle, MMOE_PROJECTION_UP, kIntermediate, kHidden, error);
    if (status == MMOE_OK)
        status = set_projection(*bundle, MMOE_PROJECTION_DOWN, kHidden, kIntermediate, error);
    if (status == MMOE_OK) status = moe.bundle_seal(*bundle, error);
    return status;
}

/* One token through the expert. Every object is destroyed whether or not it was made. */
static mmoe_status run_with_library(float* hidden, float* output, mmoe_error* error) {
    const mmoe_context_options cpu = {.struct_size = sizeof cpu, .device_kind = MMOE_DEVICE_CPU};
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = 1,
                                          .max_top_k = 1,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    int32_t id = 0;
    float weight = 1;
    const mmoe_run_args args = {.struct_size = sizeof args,
                                .hidden = matrix(hidden, MMOE_DTYPE_F32, 1, kHidden),
                                .expert_ids = matrix(&id, MMOE_DTYPE_I32, 1, 1),
                                .expert_weights = matrix(&weight, MMOE_DTYPE_F32, 1, 1),
                                .output = matrix(output, MMOE_DTYPE_F32, 1, kHidden)};
    mmoe_context* context = NULL;
    mmoe_bundle* bundle = NULL;
    mmoe_executor* executor = NULL;
    mmoe_status status = moe.context_create(&cpu, &context, error);
    if (status == MMOE_OK) status = make_bundle(context, &bundle, error);
    if (status == MMOE_OK) status = moe.executor_create(context, bundle, &limits, &executor, error);
    if (status == MMOE_OK) status = moe.executor_run(executor, bundle, &args, NULL, error);
    moe.executor_destroy(executor);
    moe.bundle_destroy(bundle);
    moe.context_destroy(context);
    return status;
}

static void run_without_library(const float* hidden, float* output) {
    double sum = 0;
    for (int h = 0; h < kHidden; ++h) sum += hidden[h] / 64;
    const double inner = sum / (1 + exp(-sum)) * sum; /* the same for every intermediate channel */
    for (int h = 0; h < kHidden; ++h) output[h] = (float)(kIntermediate * inner / 64);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "libmarlin_moe.so.0";
    float hidden[kHidden], output[kHidden];
    for (int h = 0; h < kHidden; ++h) hidden[h] = 1;
    mmoe_error error = {0};
    void* library = open_library(path);
    int done = 0;
    if (library != NULL) {
        uint32_t gpu_count = 0;
        printf("libmarlin_moe %s\n", moe.version_string());
        if (moe.device_count(MMOE_DEVICE_CUDA, &gpu_count, &error) != MMOE_OK)
            printf("on the CPU: %s\n", error.message); /* an answer, not a failure */
        done = run_with_library(hidden, output, &error) == MMOE_OK;
        if (!done) printf("the library refused: %s\n", error.message);
        dlclose(library);
    }
    if (!done) run_without_library(hidden, output);
    printf("by %s: output %.4f\n", done ? "the library" : "plain loops", output[0]);
    return 0;
}
