// SPDX-License-Identifier: Apache-2.0
// Input: eight bytes of data size, then the JSON of a header. Every entry that is accepted must
// lie inside the data, apart from all others, and be as large as its shape says.
#include <algorithm>
#include <vector>

#include "checkpoint/safetensors.h"
#include "target.h"

using namespace mmoe;

namespace {

void require_ranges(std::vector<TensorEntry> entries, uint64_t header_bytes, uint64_t data_bytes) {
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    fuzz::require(std::is_sorted(entries.begin(), entries.end(), by_name));
    const auto same_name = [](const auto& a, const auto& b) { return a.name == b.name; };
    fuzz::require(std::adjacent_find(entries.begin(), entries.end(), same_name) == entries.end());
    std::sort(entries.begin(), entries.end(),
              [](const auto& a, const auto& b) { return a.file_offset < b.file_offset; });
    uint64_t end = 8 + header_bytes;
    for (const TensorEntry& entry : entries) {
        fuzz::require(entry.rank >= 0 && entry.rank <= kMaxFileRank);
        uint64_t size_bytes = dtype_bytes(entry.dtype);
        for (int axis = 0; axis < entry.rank; ++axis) {
            fuzz::require(entry.shape[axis] >= 0);
            size_bytes *= static_cast<uint64_t>(entry.shape[axis]);
        }
        fuzz::require(entry.dtype == DType::kOther || size_bytes == entry.byte_count);
        if (entry.byte_count == 0) continue;
        fuzz::require(entry.file_offset == end);
        end += entry.byte_count;
    }
    fuzz::require(end == 8 + header_bytes + data_bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    uint64_t data_bytes = 0;
    if (size < sizeof data_bytes) return 0;
    std::memcpy(&data_bytes, data, sizeof data_bytes);
    const std::string_view json = fuzz::as_text(data, size).substr(sizeof data_bytes);
    auto entries = parse_safetensors_header(json, data_bytes, 0);
    if (!entries.ok()) {
        fuzz::require_sentence(entries.status());
        return 0;
    }
    require_ranges(std::move(entries).value(), json.size(), data_bytes);
    return 0;
}
