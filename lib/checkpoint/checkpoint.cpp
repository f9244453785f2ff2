// SPDX-License-Identifier: Apache-2.0
// Opening: shards and their headers, all tensors in order of name, then the layers by name.
#include "checkpoint/checkpoint.h"

#include <algorithm>

#include "checkpoint/expert_slice.h"
#include "checkpoint/file.h"
#include "checkpoint/layer_builder.h"
#include "checkpoint/layer_tensors.h"
#include "checkpoint/model_config.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shard_index.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

bool is_of_files(const Status& problem) noexcept {
    return problem.code() == Code::kIo || problem.code() == Code::kFileChanged;
}

struct Opened {
    std::vector<File> files;
    std::vector<TensorEntry> tensors;  // in order of name
};

Status add_file(const std::string& path, uint64_t max_header_bytes, Opened* opened) {
    TRY(File file, File::open(path));
    TRY(std::vector<TensorEntry> tensors,
        read_safetensors_header(file, static_cast<uint32_t>(opened->files.size()),
                                max_header_bytes));
    opened->files.push_back(std::move(file));
    opened->tensors.insert(opened->tensors.end(), std::make_move_iterator(tensors.begin()),
                           std::make_move_iterator(tensors.end()));
    return {};
}

Result<ShardIndex> read_index(const std::string& path, uint64_t max_bytes) {
    TRY(const File file, File::open(path));
    TRY(const std::string json, file.read_text(max_bytes));
    Result<ShardIndex> index = parse_shard_index(json);
    if (index.ok()) return index;
    return std::move(index.status()).within("%s", file.name());
}

// Keeps what the index says is where it is: a shard may hold more.
Status keep_indexed(const ShardIndex& index, const Log& log, Opened* opened) {
    std::vector<TensorEntry> kept;
    kept.reserve(index.entries.size());
    const auto before = [](const TensorEntry& tensor, const ShardIndex::Entry& entry) {
        return tensor.name != entry.tensor ? tensor.name < entry.tensor
                                           : tensor.file_index < entry.shard;
    };
    auto found = opened->tensors.begin();  // both lists are in order of name
    for (const ShardIndex::Entry& entry : index.entries) {
        found = std::lower_bound(found, opened->tensors.end(), entry, before);
        if (found == opened->tensors.end() || found->name != entry.tensor ||
            found->file_index != entry.shard) {
            return Status::error(
                Code::kMissingTensor, "%s: expected %s as the index says, got no such tensor",
                printable(index.shards[entry.shard]).c_str(), printable(entry.tensor).c_str());
        }
        kept.push_back(std::move(*found++));
    }
    if (kept.size() < opened->tensors.size()) {
        log.line(LogLevel::kWarning, "%zu tensors are not in the index and are left out",
                 opened->tensors.size() - kept.size());
    }
    opened->tensors = std::move(kept);
    return {};
}

Result<Opened> open_shards(const std::string& directory, uint64_t max_header_bytes,
                           const Log& log) {
    TRY(const ShardIndex index, read_index(join_path(directory, kIndexFile), max_header_bytes));
    Opened opened;
    for (const std::string& shard : index.shards) {
        TRY(add_file(join_path(directory, shard), max_header_bytes, &opened));
    }
    std::sort(opened.tensors.begin(), opened.tensors.end(),
              [](const TensorEntry& a, const TensorEntry& b) {
                  return a.name != b.name ? a.name < b.name : a.file_index < b.file_index;
              });
    TRY(keep_indexed(index, log, &opened));
    return opened;
}

Result<Opened> open_single(const std::string& path, uint64_t max_header_bytes) {
    Opened opened;
    TRY(add_file(path, max_header_bytes, &opened));
    return opened;
}

Result<Opened> open_directory(const std::string& directory, uint64_t max_header_bytes,
                              const Log& log) {
    const std::string single = join_path(directory, kSingleFile);
    TRY(const PathKind file, look_at(single));
    if (file != PathKind::kNothing) return open_single(single, max_header_bytes);
    TRY(const PathKind index, look_at(join_path(directory, kIndexFile)));
    if (index != PathKind::kNothing) return open_shards(directory, max_header_bytes, log);
    return Status::error(Code::kNotFound, "%s: expected %s or %s, got neither",
                         path_text(directory).c_str(), kSingleFile, kIndexFile);
}

}  // namespace

struct Checkpoint::Files {
    std::vector<File> files;
    std::vector<LayerTensors> layers;  // as layers()
};

// Bytes of a tensor's data: rows that lie apart.
struct Checkpoint::Rows {
    uint64_t begin_bytes;
    uint64_t count;
    uint64_t row_bytes;
    uint64_t stride_bytes;  // from one row to the next
};

Checkpoint::Checkpoint() : files_(std::make_unique<Files>()) {}
Checkpoint::~Checkpoint() = default;

Result<std::shared_ptr<const Checkpoint>> Checkpoint::open(const std::string& path,
                                                           const CheckpointOptions& options,
                                                           const Log& log) {
    const std::shared_ptr<Checkpoint> checkpoint(new Checkpoint);
    TRY(checkpoint->open_files(path, options, log));
    return std::shared_ptr<const Checkpoint>(checkpoint);
}

Status Checkpoint::open_files(const std::string& path, const CheckpointOptions& options,
                              const Log& log) {
    TRY(const ExpertNaming naming, ExpertNaming::create(options));
    TRY(const PathKind kind, look_at(path));
    const bool directory = kind == PathKind::kDirectory;
    TRY(Opened opened, directory ? open_directory(path, options.max_header_bytes, log)
                                 : open_single(path, options.max_header_bytes));
    files_->files = std::move(opened.files);
    tensors_ = std::move(opened.tensors);
    if (!directory) return {};

    TRY(const ModelConfig config, load_model_config(path));
    files_->layers = find_layers(tensors_, naming);
    MatchBudget budget;
    for (const LayerTensors& layer : files_->layers) {
        layers_.push_back(build_layer(*this, layer, config, &budget));
        LayerEntry& built = layers_.back();
        built.index = static_cast<uint32_t>(layers_.size() - 1);
        // What a layer's tensors say stays its problem; a disk that fails may work next time.
        if (is_of_files(built.problem)) return built.problem;
    }
    log.line(LogLevel::kInfo, "%s: %zu tensors in %zu files, %zu MoE layers",
             printable(path).c_str(), tensors_.size(), files_->files.size(), layers_.size());
    return {};
}

const TensorEntry* Checkpoint::find(std::string_view name) const noexcept {
    const auto found = std::lower_bound(
        tensors_.begin(), tensors_.end(), name,
        [](const TensorEntry& tensor, std::string_view wanted) { return tensor.name < wanted; });
    return found == tensors_.end() || found->name != name ? nullptr : &*found;
}

Status Checkpoint::read(const TensorEntry& entry, uint64_t offset_bytes,
                        std::span<uint8_t> out) const {
    if (offset_bytes > entry.byte_count || out.size() > entry.byte_count - offset_bytes) {
        return Status::error(
            Code::kInvalidArgument, "%s: expected a range inside %llu bytes, got %zu bytes at %llu",
            printable(entry.name).c_str(), static_cast<unsigned long long>(entry.byte_count),
            out.size(), static_cast<unsigned long long>(offset_bytes));
    }
    return files_->files[entry.file_index].read_at(entry.file_offset + offset_bytes, out);
}

Result<ExpertTensor> Checkpoint::expert_tensor(const LayerEntry& layer, int64_t expert,
                                               Projection projection, Role role) const {
    TRY(layer.problem);
    if (expert < 0 || expert >= layer.layer.expert_count) {
        return Status::error(Code::kInvalidArgument, "expert: expected 0 to %lld, got %lld",
                             static_cast<long long>(layer.layer.expert_count - 1),
                             static_cast<long long>(expert));
    }
    return slice_expert(tensors_, files_->layers[layer.index], layer, expert, projection, role);
}

Status Checkpoint::read(const ExpertTensor& tensor, std::span<uint8_t> out) const {
    const TensorEntry& entry = *tensor.entry;
    if (out.size() != tensor.byte_count) {
        return Status::error(Code::kInvalidArgument, "%s: expected room for %llu bytes, got %zu",
                             printable(entry.name).c_str(),
                             static_cast<unsigned long long>(tensor.byte_count), out.size());
    }
    const uint64_t begin_bytes = tensor.file_offset - entry.file_offset;
    if (tensor.row_stride_bytes == 0) return read(entry, begin_bytes, out);
    const auto rows = static_cast<uint64_t>(tensor.shape[0]);
    return read_rows(
        entry,
        {begin_bytes, rows, out.size() / rows, static_cast<uint64_t>(tensor.row_stride_bytes)},
        out);
}

Status Checkpoint::read(const ExpertTensor& tensor, const TensorPart& part,
                        std::span<uint8_t> out) const {
    const uint64_t element_bytes = dtype_bytes(tensor.entry->dtype);
    const auto columns = static_cast<uint64_t>(tensor.rank > 1 ? tensor.shape[1] : 1);
    const uint64_t stride_bytes = tensor.row_stride_bytes != 0
                                      ? static_cast<uint64_t>(tensor.row_stride_bytes)
                                      : columns * element_bytes;
    const uint64_t begin_bytes = tensor.file_offset - tensor.entry->file_offset +
                                 static_cast<uint64_t>(part.first[0]) * stride_bytes +
                                 static_cast<uint64_t>(part.first[1]) * element_bytes;
    return read_rows(*tensor.entry,
                     {begin_bytes, static_cast<uint64_t>(part.count[0]),
                      static_cast<uint64_t>(part.count[1]) * element_bytes, stride_bytes},
                     out);
}

Status Checkpoint::read_rows(const TensorEntry& entry, const Rows& rows,
                             std::span<uint8_t> out) const {
    if (rows.row_bytes == rows.stride_bytes) return read(entry, rows.begin_bytes, out);
    for (uint64_t row = 0; row < rows.count; ++row) {
        TRY(read(entry, rows.begin_bytes + row * rows.stride_bytes,
                 out.subspan(row * rows.row_bytes, rows.row_bytes)));
    }
    return {};
}

}  // namespace mmoe
