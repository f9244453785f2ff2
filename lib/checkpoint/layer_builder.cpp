// SPDX-License-Identifier: Apache-2.0
// In this order: what the names say, the scheme of every module, dimensions of the first expert,
// all other experts against the first, and the whole against config.json.
#include "checkpoint/layer_builder.h"

#include <algorithm>
#include <array>

#include "base/checked.h"
#include "checkpoint/layer_dimensions.h"
#include "checkpoint/layer_view.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr std::array kAllSlots = {Slot::kWeight,     Slot::kScale, Slot::kZeroPoint,
                                  Slot::kGroupIndex, Slot::kBias,  Slot::kShape};

class LayerBuilder {
  public:
    LayerBuilder(const Checkpoint& checkpoint, const LayerTensors& tensors,
                 const ModelConfig& config, MatchBudget* budget) noexcept
        : view_(checkpoint, tensors), tensors_(tensors), config_(config), budget_(budget) {
        claims_.hidden_size = config.hidden_size;
        claims_.intermediate_size = config.moe_intermediate_size;
        if (!claims_.intermediate_size && tensors.plain_intermediate) {
            claims_.intermediate_size = config.intermediate_size;
        }
    }

    LayerEntry build() {
        entry_.model_layer = tensors_.model_layer;
        entry_.experts_prefix = tensors_.experts_prefix;
        entry_.top_k = config_.top_k.value_or(0);
        entry_.layer.expert_count = tensors_.expert_count;
        entry_.problem = fill();
        return std::move(entry_);
    }

  private:
    Status fill() {
        TRY(tensors_.problem);
        TRY(choose_parts());
        TRY(find_scheme());
        TRY(check_style());
        TRY(read_layer_dimensions(view_, parts_, entry_.config, claims_, &entry_.layer));
        TRY(check_all_tensors());
        TRY(refine_config());
        TRY(find_biases());
        TRY(apply_model_config(config_, parts_.front() != Part::kUp, &entry_.layer));
        TRY(check_fused_zero_points());
        return check_claims();
    }

    // ---- Names ----

    // Which projections there are; every expert has weights of each.
    Status choose_parts() {
        if (tensors_.style == Style::kForeign) return not_quantised();
        if (view_.find(0, Part::kGateUp, Slot::kWeight) != nullptr) {
            parts_ = {Part::kGateUp, Part::kDown};
        } else if (view_.find(0, Part::kGate, Slot::kWeight) != nullptr ||
                   !tensors_.may_lack_gate) {
            parts_ = {Part::kGate, Part::kUp, Part::kDown};
        } else {
            parts_ = {Part::kUp, Part::kDown};
        }
        for (int64_t set = 0; set < tensors_.set_count(); ++set) {
            for (const Part part : parts_) TRY(view_.expect(set, part, Slot::kWeight));
        }
        return {};
    }

    [[nodiscard]] Status not_quantised() const {
        if (!tensors_.foreign_tensor) return view_.missing(0, Part::kDown, Slot::kWeight);
        const TensorEntry& foreign = view_.checkpoint().tensors()[*tensors_.foreign_tensor];
        return Status::error(Code::kUnsupported,
                             "expected quantised experts (weight_packed or qweight), got %s as %s",
                             printable(foreign.name).c_str(), dtype_name(foreign.dtype));
    }

    // ---- Scheme ----

    // One kernel runs all projections of a layer, so they must be alike.
    Status find_scheme() {
        TRY(config_.schemes_problem);
        std::string_view first_module;
        for (int64_t set = 0; set < tensors_.set_count(); ++set) {
            for (const Part part : parts_) {
                const std::string_view module = view_.module_of(set, part);
                Result<QuantConfig> config = config_.schemes.of(module, budget_);
                if (!config.ok()) return std::move(config.status()).within("config.json");
                if (first_module.empty()) {
                    first_module = module;
                    entry_.config = config.value();
                }
                if (config.value() != entry_.config) {
                    return two_schemes(first_module, module, config.value());
                }
            }
        }
        return {};
    }

    [[nodiscard]] Status two_schemes(std::string_view first_module, std::string_view module,
                                     const QuantConfig& other) const {
        module.remove_prefix(tensors_.experts_prefix.size());
        return Status::error(Code::kUnsupported,
                             "expected one scheme a layer, got %s for %s, but %s for %s",
                             describe(entry_.config).c_str(), printable(first_module).c_str(),
                             describe(other).c_str(), printable(module).c_str());
    }

    [[nodiscard]] Status check_style() const {
        const Format format = entry_.config.format;
        const bool words = format == Format::kGptq || format == Format::kAwq;
        if (words != (tensors_.style == Style::kWords)) {
            return Status::error(
                Code::kBadData, "%s: expected %s tensors as config.json says, got %s",
                view_.prefix().c_str(), format_name(format), words ? "weight_packed" : "qweight");
        }
        if (words && (tensors_.fused() || parts_.front() == Part::kGateUp)) {
            return Status::error(
                Code::kUnsupported,
                "%s: expected one tensor an expert and projection in %s, got fused "
                "ones",
                view_.prefix().c_str(), format_name(format));
        }
        if (tensors_.fused() && tensors_.input_major) {
            return Status::error(Code::kUnsupported,
                                 "%s: expected fused tensors with outputs before inputs, got a "
                                 "family that stores inputs first",
                                 view_.prefix().c_str());
        }
        return {};
    }

    // ---- All experts ----

    // Presence by role, and shapes and types like those of the first expert; what a shape must
    // be is the business of room unpack.
    Status check_all_tensors() {
        for (const Part part : parts_) {
            for (int64_t set = 0; set < tensors_.set_count(); ++set) {
                TRY(view_.expect(set, part, Slot::kScale));
                TRY(check_zero_point(set, part));
                TRY(check_group_index(set, part));
                for (const Slot slot : kAllSlots) TRY(check_like_first(set, part, slot));
            }
        }
        return {};
    }

    [[nodiscard]] Status check_zero_point(int64_t set, Part part) const {
        if (entry_.config.asymmetric()) {
            TRY(view_.expect(set, part, Slot::kZeroPoint));
        } else if (packed() && view_.find(set, part, Slot::kZeroPoint) != nullptr) {
            return view_.unexpected(set, part, Slot::kZeroPoint, "a symmetric scheme has none");
        }
        return {};
    }

    [[nodiscard]] Status check_group_index(int64_t set, Part part) const {
        // Elsewhere one that moves nothing is harmless: loading looks at what it says.
        if (entry_.config.order == Order::kGroup) TRY(view_.expect(set, part, Slot::kGroupIndex));
        return {};
    }

    Status check_like_first(int64_t set, Part part, Slot slot) {
        const TensorEntry* const first = view_.find(0, part, slot);
        const TensorEntry* const tensor = view_.find(set, part, slot);
        if (first == nullptr && tensor == nullptr) return {};
        if (tensor == nullptr) return view_.missing(set, part, slot);
        if (first == nullptr) {
            return view_.unexpected(set, part, slot, "the first expert has none");
        }
        entry_.byte_count = checked_add(entry_.byte_count, tensor->byte_count).value_or(UINT64_MAX);
        if (tensors_.fused() && slot != Slot::kShape) return check_fused(*tensor);
        if (tensor->dtype == first->dtype && tensor->rank == first->rank &&
            std::equal(tensor->shape, tensor->shape + tensor->rank, first->shape)) {
            return {};
        }
        return Status::error(Code::kBadData, "%s: expected %s %s as the first expert, got %s %s",
                             printable(tensor->name).c_str(), dtype_name(first->dtype),
                             shape_text(first->shape, first->rank).c_str(),
                             dtype_name(tensor->dtype),
                             shape_text(tensor->shape, tensor->rank).c_str());
    }

    // [E, ...], of rank 2 or 3: what room unpack sees has one axis less.
    [[nodiscard]] Status check_fused(const TensorEntry& tensor) const {
        const int64_t experts = entry_.layer.expert_count;
        if ((tensor.rank == 2 || tensor.rank == 3) && tensor.shape[0] == experts) return {};
        return Status::error(Code::kBadData, "%s: expected %lld experts of rank 1 or 2, got %s",
                             printable(tensor.name).c_str(), static_cast<long long>(experts),
                             shape_text(tensor.shape, tensor.rank).c_str());
    }

    // ---- What only the tensors know ----

    Status refine_config() {
        QuantConfig& config = entry_.config;
        TRY(const TensorEntry* const scale, view_.expect(0, Part::kDown, Slot::kScale));
        switch (scale->dtype) {
            case DType::kF32:
                config.scale_type = layout::ScaleType::kF32;
                break;
            case DType::kF16:
                config.scale_type = layout::ScaleType::kF16;
                break;
            case DType::kBf16:
                config.scale_type = layout::ScaleType::kBf16;
                break;
            default:
                return Status::error(Code::kUnsupported, "%s: expected F32, F16 or BF16, got %s",
                                     printable(scale->name).c_str(), dtype_name(scale->dtype));
        }
        const TensorEntry* zero_point = view_.find(0, Part::kDown, Slot::kZeroPoint);
        if (packed() && zero_point != nullptr && zero_point->dtype == DType::kI8) {
            config.zero_point_form = ZeroPointForm::kInt8;
        }
        return {};
    }

    Status find_biases() {
        Layer& layer = entry_.layer;
        layer.bias = view_.find(0, Part::kDown, Slot::kBias) != nullptr;
        for (const Part part : parts_) {
            const bool bias = view_.find(0, part, Slot::kBias) != nullptr;
            if (bias && !layer.bias) return view_.missing(0, Part::kDown, Slot::kBias);
            if (!bias && layer.bias) return view_.missing(0, part, Slot::kBias);
        }
        return {};
    }

    // Packed along their rows, zero points of gate and up must not share a word.
    [[nodiscard]] Status check_fused_zero_points() const {
        if (parts_.front() != Part::kGateUp || !entry_.config.asymmetric() ||
            entry_.config.zero_point_form == ZeroPointForm::kInt8) {
            return {};
        }
        const bool interleaved = entry_.layer.gate_form == GateForm::kInterleaved;
        const int64_t rows = entry_.layer.intermediate_size;
        if (!interleaved && rows % (32 / entry_.config.bits) == 0) return {};
        return Status::error(Code::kUnsupported,
                             "%s: expected zero points of gate and up in words of their own, got "
                             "%s rows, %lld of each",
                             view_.prefix().c_str(), interleaved ? "interleaved" : "stacked",
                             static_cast<long long>(rows));
    }

    [[nodiscard]] Status check_claims() const {
        const Layer& layer = entry_.layer;
        TRY(check_claim("hidden size", claims_.hidden_size, layer.hidden_size));
        TRY(check_claim("intermediate size", claims_.intermediate_size, layer.intermediate_size));
        return check_claim("expert count", config_.expert_count, layer.expert_count);
    }

    [[nodiscard]] Status check_claim(const char* what, std::optional<int64_t> claim,
                                     int64_t got) const {
        if (!claim || *claim == got) return {};
        return Status::error(Code::kBadData, "%s: %s: expected %lld as config.json says, got %lld",
                             view_.prefix().c_str(), what, static_cast<long long>(*claim),
                             static_cast<long long>(got));
    }

    [[nodiscard]] bool packed() const noexcept {
        return entry_.config.format == Format::kCompressedTensors;
    }

    LayerView view_;
    const LayerTensors& tensors_;
    const ModelConfig& config_;
    MatchBudget* budget_;
    DimensionClaims claims_;
    LayerEntry entry_;
    std::vector<Part> parts_;
};

}  // namespace

LayerEntry build_layer(const Checkpoint& checkpoint, const LayerTensors& tensors,
                       const ModelConfig& config, MatchBudget* budget) {
    return LayerBuilder(checkpoint, tensors, config, budget).build();
}

}  // namespace mmoe
