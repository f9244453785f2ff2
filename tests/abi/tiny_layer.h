/* SPDX-License-Identifier: Apache-2.0 */
/* One valid object of every kind, for tests that make one thing wrong at a time: a layer with
 * E = 1, H = 64, I = 32, 4 bits, groups of 32, zero points; all codes and zero points 0. */
#ifndef MMOE_TESTS_ABI_TINY_LAYER_H
#define MMOE_TESTS_ABI_TINY_LAYER_H

#include "marlin_moe.h"

enum { kTinyHidden = 64, kTinyIntermediate = 32, kTinyGroup = 32 };

struct TinyLayer {
    mmoe_context* context;
    mmoe_quant_config* config;
    mmoe_layer layer;
    mmoe_executor_options executor_options; /* max_tokens 1, max_top_k 1, f32 */
    mmoe_checkpoint* checkpoint;
    mmoe_bundle* sealed;
    mmoe_bundle* filling; /* empty */
    mmoe_executor* executor;
};

/* Group fixtures for cmocka; *state is a struct TinyLayer. */
int tiny_layer_setup(void** state);
int tiny_layer_teardown(void** state);

/* Folder of a checkpoint with this layer, written by the setup. */
const char* tiny_checkpoint_path(void);

/* A new bundle that has every tensor and is not sealed. */
mmoe_bundle* tiny_complete_bundle(const struct TinyLayer* tiny);

/* Valid operands for one token; the memory is static. */
mmoe_run_args tiny_run_args(void);
mmoe_route_args tiny_route_args(void);

/* Every tensor of the expert, for mmoe_bundle_put(). */
enum { kTinyTensorCount = 9 };
void tiny_expert_tensors(mmoe_expert_tensor tensors[kTinyTensorCount]);

/* The bias of the down projection as a Marlin matrix; the memory is static. */
mmoe_marlin_matrix tiny_marlin_matrix(void);
mmoe_marlin_args tiny_marlin_args(void);

/* The layer's expert as Marlin matrices; the memory is static. */
mmoe_marlin_experts tiny_marlin_experts(void);

/* A valid tensor of the bundle: the scales of the gate projection. */
mmoe_tensor tiny_gate_scale(void);

#endif
