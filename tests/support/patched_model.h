// SPDX-License-Identifier: Apache-2.0
// A small model with single elements overwritten in its file, and a context that logs.
#pragma once

#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "device/context.h"
#include "support/small_model.h"

namespace mmoe::test {

inline std::string log_lines;  // of all contexts made here

inline std::shared_ptr<const Context> make_logging_context() {
    auto context = std::make_shared<Context>();
    context->allocator = std::make_shared<const Allocator>();
    context->parallel = Parallel::create(2, nullptr, nullptr).value();
    context->budget = std::make_shared<Budget>(0);
    context->log = Log([](void*, int32_t, const char* line) { log_lines += line; }, nullptr,
                       LogLevel::kWarning);
    return context;
}

// An element of a tensor that is overwritten in the file.
struct Patch {
    std::string tensor;  // behind "model.layers.0.mlp.experts."
    size_t index;
    std::string bytes;  // of one element
};
template <class T>
std::string bytes_of(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}
inline std::shared_ptr<const Checkpoint> open_patched(const ScratchFolder& folder,
                                                      const SmallTensors& model,
                                                      const std::string& config,
                                                      const std::vector<Patch>& patches) {
    const auto checkpoint = open_model(folder, model, config);
    std::fstream file(folder.file("model.safetensors"),
                      std::ios::in | std::ios::out | std::ios::binary);
    for (const Patch& patch : patches) {
        const TensorEntry* entry = checkpoint->find("model.layers.0.mlp.experts." + patch.tensor);
        assert_non_null(entry);
        file.seekp(
            static_cast<std::streamoff>(entry->file_offset + patch.index * patch.bytes.size()));
        file.write(patch.bytes.data(), static_cast<std::streamsize>(patch.bytes.size()));
    }
    return checkpoint;
}

}  // namespace mmoe::test
