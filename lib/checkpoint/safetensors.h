// SPDX-License-Identifier: Apache-2.0
// The header of a safetensors file: eight bytes of length, that much JSON, then the data. Every
// number in it is an enemy until it has been checked against the true length of the file.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/file.h"
#include "checkpoint/tensor.h"

namespace mmoe {

inline constexpr uint64_t kMaxTensorsPerFile = 1000 * 1000;
inline constexpr uint64_t kMaxTensorNameBytes = 1024;

// Reads and checks the whole header. In order of name.
Result<std::vector<TensorEntry>> read_safetensors_header(const File& file, uint32_t file_index,
                                                         uint64_t max_header_bytes);

// The same for header bytes in memory, `json` being what follows the length; for the above and
// for tests. `data_bytes` is what the file holds behind the header.
Result<std::vector<TensorEntry>> parse_safetensors_header(
    std::string_view json, uint64_t data_bytes, uint32_t file_index,
    uint64_t max_tensors = kMaxTensorsPerFile);

}  // namespace mmoe
