// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/shard_index.h"

#include <algorithm>
#include <map>

#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

// Every shard stays open, so this also bounds file descriptors. The largest model known has 163.
constexpr size_t kMaxShards = 10000;
constexpr size_t kMaxFileNameBytes = 255;  // NAME_MAX of Linux

constexpr JsonLimits kIndexLimits = {
    .max_depth = 8, .max_values = 2 * kMaxTensorsPerFile, .max_key_bytes = kMaxTensorNameBytes};

bool is_plain_file_name(std::string_view name) noexcept {
    constexpr std::string_view kForbidden("/\\\0", 3);
    return !name.empty() && name.size() <= kMaxFileNameBytes && name != "." && name != ".." &&
           name.find_first_of(kForbidden) == std::string_view::npos;
}

class IndexSink final : public JsonSink {
  public:
    Status on(const JsonEvent& event) override {
        if (event.depth == 0) {
            if (event.kind == JsonEvent::Kind::kBeginObject) return {};
            if (event.kind == JsonEvent::Kind::kEndObject) return {};
            return Status::error(Code::kBadData, "expected an object with weight_map, got %s",
                                 kind_text(event.kind));
        }
        if (event.depth == 1) return on_member(event);
        if (!in_map_) return {};
        if (event.depth == 2 && event.kind == JsonEvent::Kind::kKey) {
            tensor_ = event.text;
            return {};
        }
        return on_shard(event);
    }

    [[nodiscard]] bool has_map() const noexcept { return has_map_; }

    // Numbers the shards in order of name.
    [[nodiscard]] ShardIndex take() {
        ShardIndex index;
        std::vector<uint32_t> number(shards_.size());
        for (const auto& [name, first_seen] : shards_) {
            number[first_seen] = static_cast<uint32_t>(index.shards.size());
            index.shards.push_back(name);
        }
        index.entries = std::move(entries_);
        for (ShardIndex::Entry& entry : index.entries) entry.shard = number[entry.shard];
        std::sort(index.entries.begin(), index.entries.end(),
                  [](const auto& a, const auto& b) { return a.tensor < b.tensor; });
        return index;
    }

  private:
    Status on_member(const JsonEvent& event) {
        if (event.kind == JsonEvent::Kind::kKey) {
            in_map_ = event.text == "weight_map";
            has_map_ = has_map_ || in_map_;
            return {};
        }
        const bool object = event.kind == JsonEvent::Kind::kBeginObject ||
                            event.kind == JsonEvent::Kind::kEndObject;
        if (!in_map_ || object) return {};
        return Status::error(Code::kBadData, "weight_map: expected an object, got %s",
                             kind_text(event.kind));
    }

    Status on_shard(const JsonEvent& event) {
        if (event.kind != JsonEvent::Kind::kString) {
            return Status::error(Code::kBadData, "%s: expected the name of a file, got %s",
                                 printable(tensor_).c_str(), kind_text(event.kind));
        }
        if (!is_plain_file_name(event.text)) {
            return Status::error(Code::kBadData,
                                 "%s: expected a file name without a path, got \"%s\"",
                                 printable(tensor_).c_str(), printable(event.text).c_str());
        }
        const auto next = static_cast<uint32_t>(shards_.size());
        const auto [shard, added] = shards_.try_emplace(std::string(event.text), next);
        if (shards_.size() > kMaxShards) {
            return Status::error(Code::kLimit, "expected at most %zu shards, got more", kMaxShards);
        }
        entries_.push_back({std::move(tensor_), shard->second});
        return {};
    }

    bool in_map_ = false;
    bool has_map_ = false;
    std::string tensor_;
    std::map<std::string, uint32_t> shards_;  // name -> order of appearance
    std::vector<ShardIndex::Entry> entries_;
};

}  // namespace

Result<ShardIndex> parse_shard_index(std::string_view json) {
    IndexSink sink;
    TRY(parse_json(json, 0, kIndexLimits, sink));
    if (!sink.has_map())
        return Status::error(Code::kBadData, "weight_map: expected an object, got none");
    return sink.take();
}

}  // namespace mmoe
