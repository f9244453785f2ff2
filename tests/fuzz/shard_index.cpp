// SPDX-License-Identifier: Apache-2.0
// Input: an index file. No shard that is accepted may leave the directory.
#include <algorithm>

#include "checkpoint/shard_index.h"
#include "target.h"

using namespace mmoe;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    auto parsed = parse_shard_index(fuzz::as_text(data, size));
    if (!parsed.ok()) {
        fuzz::require_sentence(parsed.status());
        return 0;
    }
    const ShardIndex& index = parsed.value();
    for (const std::string& shard : index.shards) {
        fuzz::require(!shard.empty() && shard != "." && shard != "..");
        fuzz::require(shard.find('/') == std::string::npos);
        fuzz::require(shard.find('\0') == std::string::npos);
    }
    fuzz::require(std::is_sorted(index.shards.begin(), index.shards.end()));
    for (size_t i = 0; i < index.entries.size(); ++i) {
        fuzz::require(index.entries[i].shard < index.shards.size());
        fuzz::require(i == 0 || index.entries[i - 1].tensor < index.entries[i].tensor);
    }
    return 0;
}
