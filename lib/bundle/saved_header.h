// SPDX-License-Identifier: Apache-2.0
// The file of a saved bundle:
//
//   SavedHeader            fixed size, little end first
//   checksums              u64 [expert_count], XXH3-64 of each expert's bytes
//   zeros                  up to payload_offset, a multiple of 4096
//   experts                expert_count times expert_bytes, in the layout that the header names
//
// `header_checksum` is XXH3-64 of everything before payload_offset with itself as 0. Files of a
// layout that is no longer written are refused with a sentence.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/status.h"
#include "bundle/spec.h"
#include "bundle/store.h"

namespace mmoe {

inline constexpr char kSavedMagic[8] = {'M', 'M', 'O', 'E', 'B', 'N', 'D', 'L'};
inline constexpr uint32_t kSavedVersion = 1;
inline constexpr uint64_t kSavedAlignmentBytes = 4096;
// Of the whole layer: a rank's file need not hold them, but its bundle has a table of them.
inline constexpr uint32_t kMaxSavedExperts = 1U << 20;

struct SavedHeader {
    char magic[8];
    uint32_t version;
    uint32_t layout;  // SavedLayout
    uint64_t header_checksum;
    uint64_t payload_offset;
    uint64_t expert_bytes;
    uint32_t expert_count;  // slots in this file
    // Quant config.
    int32_t format;
    int32_t bits;
    int32_t group_size;  // -1: one scale a channel
    int32_t symmetry;
    int32_t zero_point_form;
    int32_t order;
    int32_t scale_type;
    // Layer.
    uint32_t layer_experts;
    uint32_t hidden_size;
    uint32_t intermediate_size;
    int32_t activation;
    int32_t gate_form;
    float alpha;
    float beta;
    float limit;
    uint32_t bias;
    uint32_t router_weight_on_input;
    // Split.
    uint32_t tensor_ranks;
    uint32_t tensor_rank;
    uint32_t expert_ranks;
    uint32_t expert_rank;
};
static_assert(sizeof(SavedHeader) == 128 && std::is_trivially_copyable_v<SavedHeader>);

// Everything but checksums, offset and sizes.
[[nodiscard]] SavedHeader describe_spec(const BundleSpec& spec, SavedLayout layout) noexcept;
// Refuses values that no version wrote.
Result<BundleSpec> read_spec(const SavedHeader& header);

}  // namespace mmoe
