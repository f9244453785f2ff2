/* SPDX-License-Identifier: Apache-2.0
 * Marlin repacking without a GPU: gate and up of every expert become one operand w13 in the layout
 * that Marlin kernels read, and come back unchanged. Ends with 1 if they do not.
 *
 *     cc repack.c -lmarlin_moe
 */
#include <marlin_moe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    kExperts = 4,       /* E */
    kHidden = 128,      /* H: inputs of gate and up */
    kIntermediate = 96, /* I: outputs of each */
    kPadded = 128,      /* I, up to a multiple of 64 */
    kGroup = 32         /* weights that share a scale and a zero point */
};

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

static void* allocate(uint64_t size_bytes) {
    void* memory = calloc(1, (size_t)size_bytes);
    if (memory == NULL) exit(1);
    return memory;
}

static mmoe_quant_config* make_config(void) {
    const mmoe_quant_fields fields = {.struct_size = sizeof fields,
                                      .format = MMOE_FORMAT_AWQ,
                                      .bits = 4,
                                      .group_size = kGroup,
                                      .symmetry = MMOE_ASYMMETRIC,
                                      .scale_dtype = MMOE_DTYPE_F16};
    mmoe_error error = {0};
    mmoe_quant_config* config;
    check(mmoe_quant_config_create(&fields, &config, &error), &error);
    return config;
}

/* Gate begins at output 0 of w13, up behind gate's padding. */
static mmoe_marlin_matrix part_of_w13(int64_t first_output) {
    const mmoe_marlin_matrix matrix = {.struct_size = sizeof matrix,
                                       .expert_count = kExperts,
                                       .inputs = kHidden,
                                       .outputs = kIntermediate,
                                       .padded_outputs = 2 * kPadded,
                                       .first_output = first_output};
    return matrix;
}

/* Any bytes are codes and zero points; with this mask two of them are a finite f16. */
static void fill(uint8_t* bytes, uint64_t count, uint32_t seed) {
    for (uint64_t i = 0; i < count; ++i) {
        seed = seed * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(seed >> 24 & 0xBB);
    }
}

/* One projection of all experts into its part of `marlin`, and out of it again. */
static int round_trip(const mmoe_quant_config* config, mmoe_role role, int64_t first_output,
                      void* marlin) {
    const mmoe_marlin_matrix matrix = part_of_w13(first_output);
    mmoe_marlin_description shapes = {.struct_size = sizeof shapes};
    mmoe_error error = {0};
    check(mmoe_marlin_describe(config, &matrix, role, &shapes, &error), &error);
    uint8_t* given = allocate(shapes.file_bytes);
    uint8_t* again = allocate(shapes.file_bytes);
    fill(given, shapes.file_bytes, (uint32_t)(first_output + role));

    mmoe_marlin_args args = {.struct_size = sizeof args, .role = role};
    args.file = shapes.file;
    args.file.data = given;
    args.marlin = shapes.marlin;
    args.marlin.data = marlin;
    check(mmoe_marlin_pack(NULL, config, &matrix, &args, &error), &error);
    args.file.data = again;
    check(mmoe_marlin_unpack(NULL, config, &matrix, &args, &error), &error);
    const int same = memcmp(given, again, (size_t)shapes.file_bytes) == 0;
    free(again);
    free(given);
    return same;
}

static int repack_role(const mmoe_quant_config* config, mmoe_role role, const char* name) {
    const mmoe_marlin_matrix matrix = part_of_w13(0);
    mmoe_marlin_description shapes = {.struct_size = sizeof shapes};
    mmoe_error error = {0};
    check(mmoe_marlin_describe(config, &matrix, role, &shapes, &error), &error);
    void* marlin = allocate(shapes.marlin_bytes);
    const int same = round_trip(config, role, 0, marlin) &&     /* gate */
                     round_trip(config, role, kPadded, marlin); /* up */
    printf("w13 %-11s [%lld, %lld, %lld], %llu bytes: %s\n", name,
           (long long)shapes.marlin.shape[0], (long long)shapes.marlin.shape[1],
           (long long)shapes.marlin.shape[2], (unsigned long long)shapes.marlin_bytes,
           same ? "came back" : "DIFFERS");
    free(marlin);
    return same;
}

int main(void) {
    mmoe_quant_config* config = make_config();
    const int weights = repack_role(config, MMOE_ROLE_WEIGHT, "weights");
    const int scales = repack_role(config, MMOE_ROLE_SCALE, "scales");
    const int zero_points = repack_role(config, MMOE_ROLE_ZERO_POINT, "zero points");
    mmoe_quant_config_destroy(config);
    return weights && scales && zero_points ? 0 : 1;
}
