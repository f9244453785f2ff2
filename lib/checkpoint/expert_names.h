// SPDX-License-Identifier: Apache-2.0
// How model families name the tensors of their experts, as a table, and how a name is taken
// apart:
//
//     model.layers. 3 .mlp.experts. 17 .gate_proj .weight_packed
//     root             family           part       suffix
//
// A fused tensor holds all experts and has no expert number:
// model.layers.3.mlp.experts.gate_up_proj.weight_packed
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace mmoe {

// Projections as tensors hold them.
enum class Part : uint8_t { kGate, kUp, kDown, kGateUp };
inline constexpr int kPartCount = 4;

// What a tensor is to its part: the roles of the public header, and the text of its shape.
enum class Slot : uint8_t { kWeight, kScale, kZeroPoint, kGroupIndex, kBias, kShape };
inline constexpr int kSlotCount = 6;

// Who uses a suffix.
enum class Style : uint8_t {
    kAny,
    kCompressedTensors,  // .weight_packed
    kWords,              // .qweight: GPTQ and AWQ
    kForeign,            // weights that are not quantised, or that nobody here reads; no slot
};

struct ExpertName {
    std::string_view experts_prefix;  // up to the expert number
    std::string_view suffix;          // the rest of the name is the module that configs speak of
    uint32_t model_layer = 0;
    std::optional<int64_t> expert;  // absent: all in one tensor
    Part part = Part::kGate;
    Slot slot = Slot::kWeight;
    Style style = Style::kAny;
    bool may_lack_gate = false;       // the family has layers without a gate
    bool input_major = false;         // its fused tensors are [E, K, N]
    bool plain_intermediate = false;  // config.json: intermediate_size is that of the experts
};

// Recognises names: those of the known families, or those that the caller gives.
class ExpertNaming {
  public:
    static Result<ExpertNaming> create(const CheckpointOptions& options);

    // Nothing if the tensor belongs to no expert. Views into `name`.
    [[nodiscard]] std::optional<ExpertName> parse(std::string_view name) const;

  private:
    struct PartNames {
        std::string gate;  // empty: there is none
        std::string up;
        std::string down;
    };

    bool parse_known_prefix(std::string_view name, ExpertName* parsed) const;
    bool parse_given_prefix(std::string_view name, ExpertName* parsed) const;
    bool parse_part(std::string_view rest, ExpertName* parsed) const;

    std::vector<PartNames> part_names_;
    // The caller's prefix around its "{l}"; absent: known families.
    struct GivenPrefix {
        std::string before_layer;
        std::string after_layer;
        bool numbered = false;
    };
    std::optional<GivenPrefix> given_;
};

}  // namespace mmoe
