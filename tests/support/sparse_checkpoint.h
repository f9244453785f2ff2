// SPDX-License-Identifier: Apache-2.0
// A checkpoint of one MoE layer whose tensors are zeros that the file system does not store, so
// that a test can load layers of real size. Only group indices are written.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/checkpoint_files.h"

namespace mmoe::test {

enum class SparseFormat { kCompressedTensors, kGptq, kAwq };

struct SparseLayer {
    SparseFormat format = SparseFormat::kCompressedTensors;
    int64_t experts = 1, hidden = 0, intermediate = 0;
    int64_t bits = 4, group = 128;
    bool ordered = false;       // group of input k is k % groups
    int64_t scale_columns = 0;  // not 0: scales [N, scale_columns], whatever the rest says
};

class SparseCheckpoint {
  public:
    SparseCheckpoint(const ScratchFolder& folder, const SparseLayer& layer) : layer_(layer) {
        for (int64_t expert = 0; expert < layer.experts; ++expert) {
            const std::string module = "model.layers.0.mlp.experts." + std::to_string(expert) + ".";
            add_projection(module + "gate_proj", layer.intermediate, layer.hidden);
            add_projection(module + "up_proj", layer.intermediate, layer.hidden);
            add_projection(module + "down_proj", layer.hidden, layer.intermediate);
        }
        folder.write("config.json", config());
        write(folder.write("model.safetensors", safetensors_of("{" + header_ + "}", 0)));
    }

  private:
    struct GroupIndex {
        uint64_t offset_bytes;
        std::vector<int32_t> groups;
    };

    void add(const std::string& name, const char* dtype, int64_t bytes,
             const std::vector<int64_t>& shape) {
        std::string dimensions;
        for (const int64_t size : shape) {
            dimensions += (dimensions.empty() ? "" : ",") + std::to_string(size);
            bytes *= size;
        }
        const uint64_t begin = data_bytes_;
        data_bytes_ += static_cast<uint64_t>(bytes);
        header_ += (header_.empty() ? "\"" : ",\"") + name + R"(":{"dtype":")" + dtype +
                   R"(","shape":[)" + dimensions + R"(],"data_offsets":[)" + std::to_string(begin) +
                   "," + std::to_string(data_bytes_) + "]}";
    }

    void add_projection(const std::string& module, int64_t n, int64_t k) {
        const int64_t per_word = 32 / layer_.bits, groups = k / layer_.group;
        if (layer_.format == SparseFormat::kCompressedTensors) {
            const int64_t columns = layer_.scale_columns != 0 ? layer_.scale_columns : groups;
            add(module + ".weight_packed", "I32", 4, {n, k / per_word});
            add(module + ".weight_scale", "BF16", 2, {n, columns});
            add(module + ".weight_zero_point", "I32", 4, {n / per_word, groups});
            if (layer_.ordered) add_group_index(module + ".weight_g_idx", k);
            return;
        }
        const bool gptq = layer_.format == SparseFormat::kGptq;
        if (gptq) {
            add(module + ".qweight", "I32", 4, {k / per_word, n});
        } else {
            add(module + ".qweight", "I32", 4, {k, n / per_word});
        }
        add(module + ".scales", "F16", 2, {groups, n});
        add(module + ".qzeros", "I32", 4, {groups, n / per_word});
        if (gptq && layer_.ordered) add_group_index(module + ".g_idx", k);
    }

    void add_group_index(const std::string& name, int64_t k) {
        GroupIndex index{data_bytes_, {}};
        const int64_t groups = k / layer_.group;
        for (int64_t i = 0; i < k; ++i) index.groups.push_back(static_cast<int32_t>(i % groups));
        group_indices_.push_back(std::move(index));
        add(name, "I32", 4, {k});
    }

    [[nodiscard]] std::string config() const {
        const std::string bits = std::to_string(layer_.bits), group = std::to_string(layer_.group);
        std::string quantization;
        switch (layer_.format) {
            case SparseFormat::kCompressedTensors:
                quantization =
                    R"("quant_method":"compressed-tensors","format":"pack-quantized",)"
                    R"("config_groups":{"g":{"targets":["Linear"],"weights":{"num_bits":)" +
                    bits + R"(,"symmetric":false,"strategy":"group","group_size":)" + group +
                    (layer_.ordered ? R"(,"actorder":"group"}}})" : "}}}");
                break;
            case SparseFormat::kGptq:
                quantization = R"("quant_method":"gptq","checkpoint_format":"gptq_v2","sym":false,)"
                               R"("bits":)" +
                               bits + R"(,"group_size":)" + group + R"(,"desc_act":)" +
                               (layer_.ordered ? "true" : "false");
                break;
            case SparseFormat::kAwq:
                quantization = R"("quant_method":"awq","zero_point":true,"bits":)" + bits +
                               R"(,"group_size":)" + group;
                break;
        }
        return R"({"num_experts_per_tok":1,"quantization_config":{)" + quantization + "}}";
    }

    // The file has its header already.
    void write(const std::string& path) const {
        const uint64_t header_bytes = 8 + header_.size() + 2;
        const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
        bool ok =
            file >= 0 && ::ftruncate(file, static_cast<off_t>(header_bytes + data_bytes_)) == 0;
        for (const GroupIndex& index : group_indices_) {
            const size_t bytes = index.groups.size() * sizeof(int32_t);
            ok = ok && ::pwrite(file, index.groups.data(), bytes,
                                static_cast<off_t>(header_bytes + index.offset_bytes)) ==
                           static_cast<ssize_t>(bytes);
        }
        if (file >= 0) ::close(file);
        if (!ok) throw std::runtime_error("cannot make a sparse file of this size");
    }

    SparseLayer layer_;
    std::string header_;
    uint64_t data_bytes_ = 0;
    std::vector<GroupIndex> group_indices_;
};

}  // namespace mmoe::test
