// SPDX-License-Identifier: Apache-2.0
// How large each structure with a `struct_size` was when it first appeared: up to its last member
// of version 0.1. A caller of any later version passes at least that much, so these never change; a
// structure that is new gets a line when it appears.
#pragma once

#include <cstddef>

#include "marlin_moe.h"

namespace mmoe::api {

template <class Structure>
inline constexpr size_t kFirstSize = 0;

#define MMOE_FIRST_SIZE(structure, last_member)     \
    template <>                                     \
    inline constexpr size_t kFirstSize<structure> = \
        offsetof(structure, last_member) + sizeof(structure::last_member)

MMOE_FIRST_SIZE(mmoe_device_description, name);
MMOE_FIRST_SIZE(mmoe_context_options, cpu_tier);
MMOE_FIRST_SIZE(mmoe_quant_fields, scale_dtype);
MMOE_FIRST_SIZE(mmoe_layer, flags);
MMOE_FIRST_SIZE(mmoe_checkpoint_options, down_name);
MMOE_FIRST_SIZE(mmoe_tensor_info, name);
MMOE_FIRST_SIZE(mmoe_layer_place, experts_prefix);
MMOE_FIRST_SIZE(mmoe_support, remedy);
MMOE_FIRST_SIZE(mmoe_memory_plan, scratch_bytes);
MMOE_FIRST_SIZE(mmoe_bundle_options, split);
MMOE_FIRST_SIZE(mmoe_bundle_description, device_kind);
MMOE_FIRST_SIZE(mmoe_load_progress, total_bytes);
MMOE_FIRST_SIZE(mmoe_bundle_open_options, progress_user);
MMOE_FIRST_SIZE(mmoe_executor_options, precision);
MMOE_FIRST_SIZE(mmoe_run_args, expert_map);
MMOE_FIRST_SIZE(mmoe_executor_findings, ids_out_of_range);
MMOE_FIRST_SIZE(mmoe_route_args, expert_weights);
MMOE_FIRST_SIZE(mmoe_marlin_matrix, reserved);
MMOE_FIRST_SIZE(mmoe_marlin_description, marlin_bytes);
MMOE_FIRST_SIZE(mmoe_marlin_args, group_index);
MMOE_FIRST_SIZE(mmoe_marlin_experts, w2_order);

#undef MMOE_FIRST_SIZE

}  // namespace mmoe::api
