// SPDX-License-Identifier: Apache-2.0
// What a `quantization_config` says about each module of a model. One file a dialect fills the
// same rules; asking them is the same for all.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/json_value.h"
#include "checkpoint/pattern.h"
#include "checkpoint/quant_config.h"

namespace mmoe {

// Which modules an entry of a config file means.
class ModulePattern {
  public:
    enum class Kind {
        kExact,    // the whole name
        kRegex,    // "re:", from the start of the name
        kLinear,   // the class of all linear layers
        kPart,     // whole components of the name, such as "mlp.gate"
        kNothing,  // another class: no linear layer
    };

    static ModulePattern linear() { return ModulePattern(Kind::kLinear, {}); }
    static ModulePattern part(std::string text) {
        return ModulePattern(Kind::kPart, std::move(text));
    }
    static Result<ModulePattern> regex(std::string_view expression);
    // An entry of compressed-tensors: a name, "re:..." or a class.
    static Result<ModulePattern> entry(const std::string& text);

    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    // Adds what the answer has cost to `steps`.
    [[nodiscard]] bool matches(std::string_view module, uint64_t* steps) const;

  private:
    ModulePattern(Kind kind, std::string text) : kind_(kind), text_(std::move(text)) {}

    Kind kind_;
    std::string text_;
    std::optional<Pattern> pattern_;  // kRegex
};

// What a checkpoint may spend on asking rules about modules: a config of a million rules and a
// model of a million modules must not keep their reader busy for days. The largest models known
// spend 10^8 steps; the limit stands for about half a minute.
struct MatchBudget {
    uint64_t steps_left = uint64_t{1} << 33;
};

class QuantSchemes {
  public:
    // `quantization_config` of a config.json.
    static Result<QuantSchemes> parse(const JsonValue& quantization);

    // The scheme of one linear layer; unsupported if it has none, or one that nobody here reads.
    [[nodiscard]] Result<QuantConfig> of(std::string_view module, MatchBudget* budget) const;
    // The only scheme there is.
    [[nodiscard]] Result<QuantConfig> only() const;

    // For the dialects. A scheme that cannot be read is kept with its reason: it may be that of
    // other modules than ours.
    size_t add_scheme(std::string name, Result<QuantConfig> config);
    // Rules are asked in the order in which they were added.
    void add_rule(ModulePattern pattern, size_t scheme) {
        rules_.push_back({std::move(pattern), scheme});
    }
    void add_exclusion(ModulePattern pattern) {
        rules_.push_back({std::move(pattern), std::nullopt});
    }

  private:
    struct Scheme {
        std::string name;
        Result<QuantConfig> config;
    };
    struct Rule {
        ModulePattern pattern;
        std::optional<size_t> scheme;  // absent: the module is not quantised
    };

    [[nodiscard]] static Result<QuantConfig> answer(const Scheme& scheme);

    std::vector<Scheme> schemes_;
    std::vector<Rule> rules_;
};

// The dialects. Each takes the whole `quantization_config`.
Result<QuantSchemes> parse_compressed_tensors(const JsonValue& quantization);
Result<QuantSchemes> parse_gptq(const JsonValue& quantization);
Result<QuantSchemes> parse_awq(const JsonValue& quantization);

// Checks shared by the dialects; sentences name the field.
Result<int> supported_bits(int64_t bits);
// Null, absent and -1 mean one scale a channel.
Result<std::optional<int32_t>> supported_group_size(std::optional<int64_t> group_size);

}  // namespace mmoe
