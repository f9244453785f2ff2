// SPDX-License-Identifier: Apache-2.0
// Reads the safetensors files of the fixtures, for tests alone: trusts them, keeps them whole.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/tensor.h"
#include "cmocka_cpp.h"

namespace mmoe::test {

// Where a fixture lies: below $MMOE_FIXTURES, tests/data or a folder beside the source.
inline std::optional<std::filesystem::path> fixture_path(const std::string& name) {
    std::vector<std::filesystem::path> roots;
    if (const char* variable = std::getenv("MMOE_FIXTURES")) roots.emplace_back(variable);
    const std::filesystem::path data = MMOE_TEST_DATA;
    roots.push_back(data);
    roots.push_back(data.parent_path().parent_path().parent_path() / "shared" / "fixtures");
    for (const auto& root : roots) {
        if (std::filesystem::exists(root / name)) return root / name;
    }
    return std::nullopt;
}

// Ends a test that has nothing to read, and says why.
inline void skip_without_fixture(const char* name) {
    print_message("no fixture %s here: set MMOE_FIXTURES\n", name);
    skip();
}

inline DType fixture_dtype(const std::string& name) {
    static const std::map<std::string, DType> kTypes = {
        {"F32", DType::kF32}, {"F16", DType::kF16}, {"BF16", DType::kBf16}, {"I32", DType::kI32},
        {"I64", DType::kI64}, {"U8", DType::kU8},   {"I8", DType::kI8}};
    return kTypes.at(name);
}

// All tensors of one file, or of all shards of a directory. Memory lives as long as the object.
class FixtureFile {
  public:
    explicit FixtureFile(const std::filesystem::path& path) {
        if (!std::filesystem::is_directory(path)) {
            add_file(path);
            return;
        }
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            const std::string name = entry.path().filename().string();
            if (name.rfind("model", 0) == 0 && entry.path().extension() == ".safetensors") {
                add_file(entry.path());
            }
        }
    }

    [[nodiscard]] bool has(const std::string& name) const { return tensors_.count(name) != 0; }

    // Null data if there is no such tensor.
    [[nodiscard]] TensorView find(const std::string& name) const {
        const auto found = tensors_.find(name);
        return found == tensors_.end() ? TensorView{} : found->second;
    }

    // One matrix of a stack: the tensor without its first axis.
    [[nodiscard]] TensorView slice(const std::string& name, int64_t index) const {
        TensorView view = find(name);
        if (view.absent()) return view;
        int64_t size_bytes = static_cast<int64_t>(dtype_bytes_of(view.dtype));
        for (int axis = 1; axis < view.rank; ++axis) size_bytes *= view.shape[axis];
        view.data = static_cast<const uint8_t*>(view.data) + index * size_bytes;
        --view.rank;
        for (int axis = 0; axis < view.rank; ++axis) view.shape[axis] = view.shape[axis + 1];
        return view;
    }

    template <class T>
    [[nodiscard]] const T* data(const std::string& name) const {
        if (!has(name)) throw std::runtime_error("fixture has no tensor " + name);
        return static_cast<const T*>(find(name).data);
    }

  private:
    static size_t dtype_bytes_of(DType dtype) {
        if (dtype == DType::kI64) return 8;
        if (dtype == DType::kU8 || dtype == DType::kI8) return 1;
        return dtype == DType::kF16 || dtype == DType::kBf16 ? 2 : 4;
    }

    void add_file(const std::filesystem::path& path) {
        std::ifstream stream(path, std::ios::binary);
        if (!stream) throw std::runtime_error("cannot open " + path.string());
        const std::vector<char> file{std::istreambuf_iterator<char>(stream), {}};
        uint64_t header_bytes = 0;
        std::memcpy(&header_bytes, file.data(), 8);
        const char* header = file.data() + 8;
        const auto entries = nlohmann::json::parse(header, header + header_bytes);
        for (const auto& [name, entry] : entries.items()) {
            if (name != "__metadata__") add_tensor(name, entry, header + header_bytes);
        }
    }

    // Copied into memory of its own, so that it is aligned and its bounds are watched.
    void add_tensor(const std::string& name, const nlohmann::json& entry, const char* data) {
        const auto begin = entry.at("data_offsets").at(0).get<size_t>();
        const auto end = entry.at("data_offsets").at(1).get<size_t>();
        memory_.emplace_back(end - begin);
        std::memcpy(memory_.back().data(), data + begin, end - begin);
        TensorView view;
        view.dtype = fixture_dtype(entry.at("dtype").get<std::string>());
        view.data = memory_.back().data();
        for (const auto& dimension : entry.at("shape")) {
            view.shape[view.rank++] = dimension.get<int64_t>();
        }
        tensors_[name] = view;
    }

    std::map<std::string, TensorView> tensors_;
    std::vector<std::vector<uint8_t>> memory_;
};

}  // namespace mmoe::test
