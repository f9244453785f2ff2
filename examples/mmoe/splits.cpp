// SPDX-License-Identifier: Apache-2.0
#include "splits.h"

#include <algorithm>
#include <cstdio>

namespace mmoe_tool {
namespace {

constexpr uint32_t kRanks[] = {1, 2, 4, 8, 16};

mmoe_support ask(const Device& device, const LayerView& view, uint32_t ranks, uint32_t rank) {
    mmoe_split split{};
    split.tensor_ranks = ranks;
    split.tensor_rank = rank;
    auto support = sized<mmoe_support>();
    call(mmoe_support_query, device.context.get(), view.config.get(), &view.layer, &split,
         &support);
    return support;
}

// What all ranks of a split hold.
struct Shares {
    uint32_t least = UINT32_MAX, most = 0;  // intermediate channels
    uint32_t padded = 0;                    // of the largest rank
    uint32_t group_size = 0;
};

const char* verdict_of(const LayerView& view, const Shares& shares) {
    const bool grouped = view.fields.group_size != MMOE_GROUP_SIZE_CHANNEL;
    if (shares.least != shares.most) return "uneven";
    if (grouped && shares.group_size < static_cast<uint32_t>(view.fields.group_size)) {
        return "parts";
    }
    return shares.padded != shares.most ? "padded" : "legal";
}

Json split_json(const Device& device, const LayerView& view, uint32_t ranks) {
    Json json;
    json["ranks"] = ranks;
    Shares shares;
    for (uint32_t rank = 0; rank < ranks; ++rank) {
        const mmoe_support support = ask(device, view, ranks, rank);
        if (support.supported == 0) {
            json["verdict"] = "refused";
            json["most_ranks"] = support.most_tensor_ranks;
            json["why_not"] = support.sentence;
            json["remedy"] = support.remedy;
            return json;
        }
        shares.least = std::min(shares.least, support.local_intermediate_size);
        shares.most = std::max(shares.most, support.local_intermediate_size);
        shares.padded = std::max(shares.padded, support.padded_intermediate_size);
        shares.group_size = support.local_group_size;
    }
    json["verdict"] = verdict_of(view, shares);
    json["least_intermediate"] = shares.least;
    json["most_intermediate"] = shares.most;
    json["padded_intermediate"] = shares.padded;
    json["group_size"] = shares.group_size;
    return json;
}

std::string split_text(const Json& split) {
    const auto verdict = split["verdict"].get<std::string>();
    if (verdict == "refused") return "refused: " + split["remedy"].get<std::string>();
    const auto number = [&](const char* name) { return std::to_string(split[name].get<int>()); };
    std::string text = "I " + number("most_intermediate");
    if (verdict == "uneven") text = "I " + number("least_intermediate") + " to " + text.substr(2);
    if (split["padded_intermediate"] != split["most_intermediate"]) {
        text += ", padded to " + number("padded_intermediate");
    }
    if (verdict == "parts") text += ", groups cut to " + number("group_size");
    if (verdict == "uneven") text += ", uneven";
    return text;
}

}  // namespace

Json splits_json(const Device& device, const LayerView& view) {
    Json splits = Json::array();
    for (const uint32_t ranks : kRanks) splits.push_back(split_json(device, view, ranks));
    return splits;
}

std::string splits_text(const Json& splits) {
    std::string text;
    for (const Json& split : splits) {
        char ranks[16];
        std::snprintf(ranks, sizeof ranks, "  %5d  ", split["ranks"].get<int>());
        text += ranks + split_text(split) + "\n";
    }
    return text;
}

}  // namespace mmoe_tool
