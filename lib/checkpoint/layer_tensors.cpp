// SPDX-License-Identifier: Apache-2.0
// Two passes: names are sorted into layers first, and a layer's table is laid out when its
// largest expert number is known. A table is never larger than the tensors that fill it, so that
// an expert number from a hostile file buys no memory.
#include "checkpoint/layer_tensors.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

size_t table_index(int64_t set, Part part, Slot slot) noexcept {
    const auto row = static_cast<size_t>(set) * kPartCount + static_cast<size_t>(part);
    return row * kSlotCount + static_cast<size_t>(slot);
}

}  // namespace

const LayerTensor* LayerTensors::find(int64_t set, Part part, Slot slot) const noexcept {
    if (table_.empty()) return nullptr;
    const std::optional<LayerTensor>& found = table_[table_index(set, part, slot)];
    return found ? &*found : nullptr;
}

// Gathers the names of one layer.
class LayerCollector {
  public:
    void add(uint32_t tensor, const ExpertName& name) {
        layer_.experts_prefix = name.experts_prefix;
        layer_.model_layer = name.model_layer;
        layer_.may_lack_gate = name.may_lack_gate;
        layer_.input_major = name.input_major;
        layer_.plain_intermediate = name.plain_intermediate;
        largest_expert_ = std::max(largest_expert_, name.expert.value_or(-1));
        if (name.style == Style::kForeign) {
            if (!layer_.foreign_tensor) layer_.foreign_tensor = tensor;
            return;
        }
        members_.push_back({tensor, name.expert.value_or(-1),
                            static_cast<uint32_t>(name.suffix.size()), name.part, name.slot,
                            name.style});
    }

    LayerTensors finish() {
        layer_.problem = lay_out();
        return std::move(layer_);
    }

  private:
    struct Member {
        uint32_t tensor;
        int64_t expert;  // -1: all
        uint32_t suffix_bytes;
        Part part;
        Slot slot;
        Style style;
    };

    Status lay_out() {
        layer_.expert_count = largest_expert_ + 1;
        if (members_.empty()) return {};
        TRY(check_styles());
        if (layer_.expert_count > static_cast<int64_t>(members_.size())) {
            return Status::error(Code::kMissingTensor,
                                 "%s: expected tensors of %lld experts, got only %zu tensors",
                                 printable(layer_.experts_prefix).c_str(),
                                 static_cast<long long>(layer_.expert_count), members_.size());
        }
        layer_.table_.resize(static_cast<size_t>(layer_.set_count()) * kPartCount * kSlotCount);
        for (const Member& member : members_) TRY(place(member));
        return {};
    }

    Status check_styles() {
        for (const Member& member : members_) {
            if (member.style == Style::kAny || member.style == layer_.style) continue;
            if (layer_.style != Style::kForeign) {
                return bad("expected tensors of one format, got weight_packed and qweight forms");
            }
            layer_.style = member.style;
        }
        return {};
    }

    Status place(const Member& member) {
        if ((member.expert < 0) != layer_.fused()) {
            return bad("expected fused tensors or one set an expert, got both");
        }
        std::optional<LayerTensor>& place =
            layer_
                .table_[table_index(std::max<int64_t>(member.expert, 0), member.part, member.slot)];
        if (place) return bad("expected one naming of the projections, got two");
        place = {member.tensor, member.suffix_bytes};
        return {};
    }

    Status bad(const char* sentence) const {
        return Status::error(Code::kBadData, "%s: %s", printable(layer_.experts_prefix).c_str(),
                             sentence);
    }

    LayerTensors layer_;
    int64_t largest_expert_ = -1;
    std::vector<Member> members_;
};

std::vector<LayerTensors> find_layers(std::span<const TensorEntry> tensors,
                                      const ExpertNaming& naming) {
    std::map<std::string, LayerCollector, std::less<>> collectors;
    for (size_t i = 0; i < tensors.size(); ++i) {
        const std::optional<ExpertName> name = naming.parse(tensors[i].name);
        if (!name) continue;
        auto collector = collectors.find(name->experts_prefix);
        if (collector == collectors.end()) {
            collector = collectors.try_emplace(std::string(name->experts_prefix)).first;
        }
        collector->second.add(static_cast<uint32_t>(i), *name);
    }
    std::vector<LayerTensors> layers;
    layers.reserve(collectors.size());
    for (auto& [prefix, collector] : collectors) layers.push_back(collector.finish());
    std::stable_sort(layers.begin(), layers.end(), [](const auto& a, const auto& b) {
        return a.model_layer < b.model_layer;  // equal numbers stay in order of prefix
    });
    return layers;
}

}  // namespace mmoe
