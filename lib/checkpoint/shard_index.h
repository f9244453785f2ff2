// SPDX-License-Identifier: Apache-2.0
// model.safetensors.index.json: which tensor lies in which shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace mmoe {

struct ShardIndex {
    struct Entry {
        std::string tensor;
        uint32_t shard = 0;  // in shards
    };
    std::vector<std::string> shards;  // plain file names, in order of name
    std::vector<Entry> entries;       // in order of tensor
};

// Refuses shard names that would leave the directory.
Result<ShardIndex> parse_shard_index(std::string_view json);

}  // namespace mmoe
