// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/expert_names.h"

#include <algorithm>

#include "checkpoint/text.h"

namespace mmoe {
namespace {

// Before the number of the layer.
constexpr std::string_view kRoots[] = {
    "model.layers.",                 // text models
    "model.language_model.layers.",  // Qwen3.5 and other multimodal models of transformers 5
    "language_model.model.layers.",  // Llama-4, Kimi-K2.5
    "backbone.layers.",              // Nemotron-H
};

struct Family {
    std::string_view experts;  // between the layer's number and the expert's
    bool may_lack_gate;
    bool input_major;
    bool plain_intermediate;
};

constexpr Family kFamilies[] = {
    // Qwen3, Qwen3.5, DeepSeek, GLM-4.5, Kimi-K2, gpt-oss
    {".mlp.experts.", false, false, false},
    // Mixtral, MiniMax
    {".block_sparse_moe.experts.", false, false, true},
    // Llama-4: its own `intermediate_size_mlp` is that of dense layers
    {".feed_forward.experts.", false, true, true},
    // Nemotron-H: up and down only
    {".mixer.experts.", true, false, false},
};

struct Suffix {
    std::string_view text;
    Slot slot;
    Style style;
};

constexpr Suffix kSuffixes[] = {
    {".weight_packed", Slot::kWeight, Style::kCompressedTensors},
    {".weight_scale", Slot::kScale, Style::kCompressedTensors},
    {".weight_zero_point", Slot::kZeroPoint, Style::kCompressedTensors},
    {".weight_g_idx", Slot::kGroupIndex, Style::kCompressedTensors},
    {".weight_shape", Slot::kShape, Style::kCompressedTensors},
    {".qweight", Slot::kWeight, Style::kWords},
    {".scales", Slot::kScale, Style::kWords},
    {".qzeros", Slot::kZeroPoint, Style::kWords},
    {".g_idx", Slot::kGroupIndex, Style::kWords},
    {".bias", Slot::kBias, Style::kAny},
    {"_bias", Slot::kBias, Style::kAny},  // fused tensors that are parameters, not modules
};

constexpr std::string_view kFusedGateUp = "gate_up_proj";
constexpr std::string_view kLayerMark = "{l}";

bool take_prefix(std::string_view* text, std::string_view prefix) noexcept {
    if (!text->starts_with(prefix)) return false;
    text->remove_prefix(prefix.size());
    return true;
}

// The decimal digits that `text` starts with, as a number.
std::optional<int64_t> take_number(std::string_view* text) noexcept {
    const size_t end = std::min(text->find_first_not_of("0123456789"), text->size());
    const std::optional<int64_t> number = parse_decimal(text->substr(0, end));
    if (number) text->remove_prefix(end);
    return number;
}

void set_prefix(std::string_view name, std::string_view rest, ExpertName* parsed) noexcept {
    parsed->experts_prefix = name.substr(0, name.size() - rest.size());
}

// After the part: a module's suffix starts with a dot; a parameter may go on with '_' or end.
bool parse_suffix(std::string_view suffix, ExpertName* parsed) noexcept {
    const bool module = suffix.starts_with('.');
    const bool parameter = !parsed->expert && (suffix.empty() || suffix.starts_with('_'));
    if (!module && !parameter) return false;
    parsed->suffix = suffix;
    parsed->style = Style::kForeign;
    for (const Suffix& known : kSuffixes) {
        if (suffix != known.text) continue;
        parsed->slot = known.slot;
        parsed->style = known.style;
    }
    return true;
}

}  // namespace

Result<ExpertNaming> ExpertNaming::create(const CheckpointOptions& options) {
    ExpertNaming naming;
    if (options.experts_prefix.empty()) {
        naming.part_names_ = {{"gate_proj", "up_proj", "down_proj"}, {"w1", "w3", "w2"}};
        return naming;
    }
    if (options.up_name.empty() || options.down_name.empty()) {
        return Status::error(Code::kInvalidArgument,
                             "up_name and down_name: expected names, got an empty one");
    }
    naming.part_names_ = {{options.gate_name, options.up_name, options.down_name}};
    const std::string& prefix = options.experts_prefix;
    const size_t mark = prefix.find(kLayerMark);
    GivenPrefix given;
    given.numbered = mark != std::string::npos;
    given.before_layer = prefix.substr(0, mark);
    if (given.numbered) given.after_layer = prefix.substr(mark + kLayerMark.size());
    if (given.after_layer.find(kLayerMark) != std::string::npos) {
        return Status::error(Code::kInvalidArgument,
                             "experts_prefix: expected {l} at most once, got \"%s\"",
                             printable(prefix).c_str());
    }
    naming.given_ = std::move(given);
    return naming;
}

std::optional<ExpertName> ExpertNaming::parse(std::string_view name) const {
    ExpertName parsed;
    const bool ours =
        given_ ? parse_given_prefix(name, &parsed) : parse_known_prefix(name, &parsed);
    if (!ours || !parse_part(name.substr(parsed.experts_prefix.size()), &parsed)) return {};
    return parsed;
}

bool ExpertNaming::parse_known_prefix(std::string_view name, ExpertName* parsed) const {
    for (const std::string_view root : kRoots) {
        std::string_view rest = name;
        if (!take_prefix(&rest, root)) continue;
        const std::optional<int64_t> layer = take_number(&rest);
        if (!layer) continue;
        parsed->model_layer = static_cast<uint32_t>(*layer);
        for (const Family& family : kFamilies) {
            if (!take_prefix(&rest, family.experts)) continue;
            parsed->may_lack_gate = family.may_lack_gate;
            parsed->input_major = family.input_major;
            parsed->plain_intermediate = family.plain_intermediate;
            set_prefix(name, rest, parsed);
            return true;
        }
    }
    return false;
}

bool ExpertNaming::parse_given_prefix(std::string_view name, ExpertName* parsed) const {
    std::string_view rest = name;
    if (!take_prefix(&rest, given_->before_layer)) return false;
    if (given_->numbered) {
        const std::optional<int64_t> layer = take_number(&rest);
        if (!layer || !take_prefix(&rest, given_->after_layer)) return false;
        parsed->model_layer = static_cast<uint32_t>(*layer);
    }
    parsed->may_lack_gate = part_names_.front().gate.empty();
    set_prefix(name, rest, parsed);
    return true;
}

bool ExpertNaming::parse_part(std::string_view rest, ExpertName* parsed) const {
    std::string_view after_number = rest;
    const std::optional<int64_t> expert = take_number(&after_number);
    if (expert && take_prefix(&after_number, ".")) {
        parsed->expert = expert;
        rest = after_number;
    }
    const auto is_part = [&](std::string_view name, Part part) {
        std::string_view suffix = rest;
        if (name.empty() || !take_prefix(&suffix, name) || !parse_suffix(suffix, parsed)) {
            return false;
        }
        parsed->part = part;
        return true;
    };
    for (const PartNames& names : part_names_) {
        if (is_part(names.gate, Part::kGate) || is_part(names.up, Part::kUp) ||
            is_part(names.down, Part::kDown)) {
            return true;
        }
    }
    return is_part(kFusedGateUp, Part::kGateUp);
}

}  // namespace mmoe
