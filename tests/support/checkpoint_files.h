// SPDX-License-Identifier: Apache-2.0
// Writes small checkpoints, good and bad ones, into a scratch folder that goes with the object.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mmoe::test {

class ScratchFolder {
  public:
    explicit ScratchFolder(const std::string& name)
        : path_(std::filesystem::path(MMOE_TEST_SCRATCH) /
                (name + "." + std::to_string(::getpid()))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string path() const { return path_.string(); }
    [[nodiscard]] std::string file(const std::string& name) const {
        return (path_ / name).string();
    }
    std::string write(const std::string& name, const std::string& bytes) const {
        std::ofstream stream(path_ / name, std::ios::binary | std::ios::trunc);
        stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return file(name);
    }
    void clear() const {
        for (const auto& entry : std::filesystem::directory_iterator(path_)) {
            std::filesystem::remove_all(entry.path());
        }
    }

  private:
    std::filesystem::path path_;
};

// Length, header, `data_bytes` zeros.
inline std::string safetensors_of(const std::string& header, size_t data_bytes) {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(uint64_t{header.size()} >> (8 * i));
    return bytes + header + std::string(data_bytes, '\0');
}

// A tensor of zeros, or of the numbers given (I64).
struct SmallTensor {
    std::string dtype;
    std::vector<int64_t> shape;
    std::vector<int64_t> numbers = {};

    [[nodiscard]] size_t bytes() const {
        static const std::map<std::string, size_t> kBytes = {{"F32", 4}, {"F16", 2},    {"BF16", 2},
                                                             {"I32", 4}, {"I64", 8},    {"I8", 1},
                                                             {"U8", 1},  {"F8_E4M3", 1}};
        size_t count = kBytes.at(dtype);
        for (const int64_t size : shape) count *= static_cast<size_t>(size);
        return count;
    }
};
using SmallTensors = std::map<std::string, SmallTensor>;

inline std::string safetensors_of(const SmallTensors& tensors) {
    std::string header = "{";
    std::string data;
    for (const auto& [name, tensor] : tensors) {
        std::string shape;
        for (const int64_t size : tensor.shape) {
            shape += (shape.empty() ? "" : ",") + std::to_string(size);
        }
        const size_t begin = data.size();
        data.resize(begin + tensor.bytes());
        if (!tensor.numbers.empty()) {
            std::memcpy(data.data() + begin, tensor.numbers.data(), tensor.bytes());
        }
        header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":")" + tensor.dtype +
                  R"(","shape":[)" + shape + R"(],"data_offsets":[)" + std::to_string(begin) + "," +
                  std::to_string(data.size()) + "]}";
    }
    std::string file = safetensors_of(header + "}", 0);
    return file + data;
}

// An index for tensors that lie in the named shards.
inline std::string index_of(const std::vector<std::pair<std::string, SmallTensors>>& shards) {
    std::string map;
    for (const auto& [file, tensors] : shards) {
        for (const auto& [name, tensor] : tensors) {
            map += (map.empty() ? "\"" : ",\"") + name + "\":\"" + file + "\"";
        }
    }
    return R"({"metadata":{"total_size":1},"weight_map":{)" + map + "}}";
}

}  // namespace mmoe::test
