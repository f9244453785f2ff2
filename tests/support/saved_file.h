// SPDX-License-Identifier: Apache-2.0
// Files as Bundle::save() writes them, around any header and any bytes: the checksums fit, so that
// only what the library proves about the rest stands between a stranger's file and a run.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/checked.h"
#include "bundle/saved_header.h"

namespace mmoe::test {

// Counts that no small file can have are left as they are.
inline constexpr uint32_t kMaxFileExperts = 1024;

inline std::string saved_file(SavedHeader header, std::string_view payload) {
    std::memcpy(header.magic, kSavedMagic, sizeof header.magic);
    header.version = kSavedVersion;
    header.layout = static_cast<uint32_t>(SavedLayout::kCpuRecords);
    const uint64_t count = header.expert_count <= kMaxFileExperts ? header.expert_count : 0;
    header.payload_offset =
        round_up(sizeof header + count * sizeof(uint64_t), kSavedAlignmentBytes);
    header.header_checksum = 0;
    std::string file(header.payload_offset, '\0');
    for (uint64_t i = 0; i < count; ++i) {
        const size_t begin = payload.size() / count * i;
        const uint64_t checksum = XXH3_64bits(payload.data() + begin, payload.size() / count);
        std::memcpy(file.data() + sizeof header + i * sizeof checksum, &checksum, sizeof checksum);
    }
    std::memcpy(file.data(), &header, sizeof header);
    header.header_checksum = XXH3_64bits(file.data(), file.size());
    std::memcpy(file.data(), &header, sizeof header);
    return file.append(payload);
}

}  // namespace mmoe::test
