// SPDX-License-Identifier: Apache-2.0
// In this order: what the names say, the scheme of every module, dimensions of the first expert,
// all other experts against the first, and the whole against config.json.
#include "checkpoint/layer_builder.h"

#include <array>
#include <cstring>

#include "base/checked.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

constexpr std::array kAllSlots = {Slot::kWeight,     Slot::kScale, Slot::kZeroPoint,
                                  Slot::kGroupIndex, Slot::kBias,  Slot::kShape};
constexpr const char* kSlotNames[kSlotCount] = {"weight",      "scale", "zero point",
                                                "group index", "bias",  "weight_shape"};
constexpr const char* kPartNames[kPartCount] = {"gate", "up", "down", "fused gate and up"};

// The public header counts dimensions in 32 bits.
constexpr int64_t kMaxDimension = INT32_MAX;

struct Dimensions {
    int64_t outputs = 0;  // N
    int64_t inputs = 0;   // K
};

class LayerBuilder {
  public:
    LayerBuilder(const Checkpoint& checkpoint, const LayerTensors& tensors,
                 const ModelConfig& config) noexcept
        : checkpoint_(checkpoint), tensors_(tensors), config_(config) {}

    LayerEntry build() {
        entry_.model_layer = tensors_.model_layer;
        entry_.experts_prefix = tensors_.experts_prefix;
        entry_.top_k = static_cast<uint32_t>(config_.top_k.value_or(0) & UINT32_MAX);
        entry_.layer.expert_count = tensors_.expert_count;
        entry_.problem = fill();
        return std::move(entry_);
    }

  private:
    Status fill() {
        TRY(tensors_.problem);
        TRY(choose_parts());
        TRY(find_scheme());
        TRY(read_dimensions());
        TRY(check_all_tensors());
        TRY(refine_config());
        entry_.layer.bias = find(0, Part::kDown, Slot::kBias) != nullptr;
        TRY(apply_model_config(config_, gated_, &entry_.layer));
        TRY(check_fused_zero_points());
        return check_claims();
    }

    // ---- Names ----

    Status choose_parts() {
        if (tensors_.style == Style::kForeign) return not_quantised();
        if (find(0, Part::kGateUp, Slot::kWeight) != nullptr) {
            parts_ = {Part::kGateUp, Part::kDown};
            return {};
        }
        gated_ = find(0, Part::kGate, Slot::kWeight) != nullptr || !tensors_.may_lack_gate;
        if (gated_) parts_.push_back(Part::kGate);
        parts_.push_back(Part::kUp);
        parts_.push_back(Part::kDown);
        for (int64_t set = 0; set < tensors_.set_count(); ++set) {
            for (const Part part : parts_) TRY(expect(set, part, Slot::kWeight));
        }
        return {};
    }

    Status not_quantised() const {
        if (!tensors_.foreign_tensor) return missing(0, Part::kDown, Slot::kWeight);
        const TensorEntry& foreign = checkpoint_.tensors()[*tensors_.foreign_tensor];
        return Status::error(Code::kUnsupported,
                             "%s: expected quantised weights (weight_packed or qweight), got %s %s",
                             prefix().c_str(), dtype_name(foreign.dtype),
                             printable(foreign.name).c_str());
    }

    // ---- Scheme ----

    Status find_scheme() {
        if (!config_.schemes_problem.ok()) return config_.schemes_problem;
        std::string first_module;
        for (int64_t set = 0; set < tensors_.set_count(); ++set) {
            for (const Part part : parts_) {
                const std::string_view module = module_of(set, part);
                Result<QuantConfig> config = config_.schemes.of(module);
                if (!config.ok()) return std::move(config.status()).within("config.json");
                if (first_module.empty()) {
                    first_module = module;
                    entry_.config = config.value();
                }
                if (config.value() == entry_.config) continue;
                return Status::error(
                    Code::kUnsupported, "expected one scheme a layer, got %s for %s and %s for %s",
                    describe(entry_.config).c_str(), printable(first_module).c_str(),
                    describe(config.value()).c_str(),
                    std::string(module.substr(prefix_bytes())).c_str());
            }
        }
        return check_style();
    }

    Status check_style() const {
        const bool words =
            entry_.config.format == Format::kGptq || entry_.config.format == Format::kAwq;
        if (words != (tensors_.style == Style::kWords)) {
            return Status::error(Code::kBadData,
                                 "%s: expected %s tensors as config.json says, got %s",
                                 prefix().c_str(), format_name(entry_.config.format),
                                 words ? "weight_packed" : "qweight");
        }
        if (tensors_.fused() && words) {
            return Status::error(Code::kUnsupported,
                                 "%s: expected one set of tensors an expert in %s, got fused ones",
                                 prefix().c_str(), format_name(entry_.config.format));
        }
        if (tensors_.fused() && tensors_.input_major) {
            return Status::error(Code::kUnsupported,
                                 "%s: expected fused tensors with outputs before inputs, got a "
                                 "family that stores inputs first",
                                 prefix().c_str());
        }
        return {};
    }

    // ---- Dimensions ----

    Status read_dimensions() {
        Layer& layer = entry_.layer;
        if (tensors_.fused()) {
            TRY(const TensorEntry* const down, expect(0, Part::kDown, Slot::kWeight));
            layer.expert_count = down->shape[0];
        }
        const Part first = parts_.front();
        TRY(const Dimensions up, dimensions_of(first));
        layer.hidden_size = up.inputs;
        layer.intermediate_size = first == Part::kGateUp ? up.outputs / 2 : up.outputs;
        if (first == Part::kGateUp && up.outputs % 2 != 0) {
            return contradiction(first, "an even number of rows", up);
        }
        for (const Part part : parts_) {
            TRY(const Dimensions got, dimensions_of(part));
            const Dimensions wanted =
                part == Part::kDown ? Dimensions{layer.hidden_size, layer.intermediate_size} : up;
            if (got.outputs == wanted.outputs && got.inputs == wanted.inputs) continue;
            const int64_t shape[] = {wanted.outputs, wanted.inputs};
            return contradiction(part, shape_text(shape, 2).c_str(), got);
        }
        return {};
    }

    Result<Dimensions> dimensions_of(Part part) {
        TRY(const TensorEntry* const weight, expect(0, part, Slot::kWeight));
        const int axis = tensors_.fused() ? 1 : 0;
        if (weight->rank != axis + 2 || weight->dtype != DType::kI32) {
            return Status::error(Code::kBadData, "%s: expected I32 of %d dimensions, got %s %s",
                                 printable(weight->name).c_str(), axis + 2,
                                 dtype_name(weight->dtype),
                                 shape_text(weight->shape, weight->rank).c_str());
        }
        const int64_t rows = weight->shape[axis];
        const int64_t columns = weight->shape[axis + 1];
        const int64_t per_word = 32 / entry_.config.bits;
        if (rows <= 0 || columns <= 0 || weight->shape[0] <= 0 || rows > kMaxDimension / per_word ||
            columns > kMaxDimension / per_word) {
            return Status::error(
                Code::kUnsupported, "%s: expected dimensions from 1 to 2^31 - 1, got %s",
                printable(weight->name).c_str(), shape_text(weight->shape, weight->rank).c_str());
        }
        switch (entry_.config.format) {
            case Format::kGptq:
                return Dimensions{columns, rows * per_word};
            case Format::kAwq:
                return Dimensions{columns * per_word, rows};
            case Format::kCompressedTensors:
            case Format::kMarlin:
                break;
        }
        return packed_dimensions(part, rows, columns);
    }

    // A row of `words` may end with padding: how many inputs it has, weight_shape knows, else
    // config.json, else there is no padding.
    Result<Dimensions> packed_dimensions(Part part, int64_t rows, int64_t words) {
        const int64_t per_word = 32 / entry_.config.bits;
        Dimensions found{rows, words * per_word};
        if (find(0, part, Slot::kShape) != nullptr) {
            TRY(found, read_shape(part));
        } else if (const std::optional<int64_t> claim = claimed_inputs(part);
                   claim && *claim > 0 && ceil_div(*claim, per_word) == words) {
            found.inputs = *claim;
        }
        if (found.outputs == rows && found.inputs > 0 &&
            ceil_div(found.inputs, per_word) == words) {
            return found;
        }
        const int64_t packed[] = {rows, words};
        return contradiction(part, ("what fits " + shape_text(packed, 2) + " packed words").c_str(),
                             found);
    }

    // The last two numbers: [N, K], or [E, N, K] of a fused tensor.
    Result<Dimensions> read_shape(Part part) {
        TRY(const TensorEntry* const shape, expect(0, part, Slot::kShape));
        constexpr int64_t kMaxNumbers = 3;
        if (shape->rank != 1 || shape->shape[0] < 2 || shape->shape[0] > kMaxNumbers ||
            shape->dtype != DType::kI64) {
            return Status::error(Code::kBadData, "%s: expected I64 [2] or [3], got %s %s",
                                 printable(shape->name).c_str(), dtype_name(shape->dtype),
                                 shape_text(shape->shape, shape->rank).c_str());
        }
        std::array<uint8_t, kMaxNumbers * sizeof(int64_t)> bytes = {};
        TRY(checkpoint_.read(*shape, 0, std::span(bytes).first(shape->byte_count)));
        std::array<int64_t, kMaxNumbers> numbers = {};
        std::memcpy(numbers.data(), bytes.data(), sizeof numbers);
        const auto last = static_cast<size_t>(shape->shape[0] - 1);
        return Dimensions{numbers[last - 1], numbers[last]};
    }

    [[nodiscard]] std::optional<int64_t> claimed_inputs(Part part) const noexcept {
        return part == Part::kDown ? claimed_intermediate() : config_.hidden_size;
    }
    [[nodiscard]] std::optional<int64_t> claimed_intermediate() const noexcept {
        if (config_.moe_intermediate_size) return config_.moe_intermediate_size;
        return tensors_.plain_intermediate ? config_.intermediate_size : std::nullopt;
    }

    // ---- All experts ----

    // Presence by role, and shapes and types like those of the first expert; what a shape must
    // be is the business of room unpack.
    Status check_all_tensors() {
        for (const Part part : parts_) {
            for (int64_t set = 0; set < tensors_.set_count(); ++set) {
                TRY(expect(set, part, Slot::kScale));
                TRY(check_zero_point(set, part));
                TRY(check_group_index(set, part));
                for (const Slot slot : kAllSlots) TRY(check_like_first(set, part, slot));
            }
        }
        return {};
    }

    Status check_zero_point(int64_t set, Part part) const {
        const bool packed = entry_.config.format == Format::kCompressedTensors;
        if (entry_.config.asymmetric()) {
            TRY(expect(set, part, Slot::kZeroPoint));
        } else if (packed && find(set, part, Slot::kZeroPoint) != nullptr) {
            return unexpected(set, part, Slot::kZeroPoint, "a symmetric scheme has none");
        }
        return {};
    }

    Status check_group_index(int64_t set, Part part) const {
        const bool packed = entry_.config.format == Format::kCompressedTensors;
        if (entry_.config.order == Order::kGroup) {
            TRY(expect(set, part, Slot::kGroupIndex));
        } else if (packed && find(set, part, Slot::kGroupIndex) != nullptr) {
            return unexpected(set, part, Slot::kGroupIndex, "the scheme's actorder is not group");
        }
        return {};
    }

    Status check_like_first(int64_t set, Part part, Slot slot) {
        const TensorEntry* tensor = find(set, part, slot);
        const TensorEntry* first = find(0, part, slot);
        if (first != nullptr) TRY(expect(set, part, slot));
        if (tensor == nullptr) return {};
        entry_.byte_count = checked_add(entry_.byte_count, tensor->byte_count).value_or(UINT64_MAX);
        const bool for_all_experts =
            !tensors_.fused() || slot == Slot::kShape ||
            (tensor->rank > 1 && tensor->shape[0] == entry_.layer.expert_count);
        if (first == nullptr) return unexpected(set, part, slot, "the first expert has none");
        const bool alike = tensor->dtype == first->dtype && tensor->rank == first->rank &&
                           std::equal(tensor->shape, tensor->shape + tensor->rank, first->shape);
        if (alike && for_all_experts) return {};
        return Status::error(
            Code::kBadData, "%s: expected %s %s like the first expert's, got %s %s",
            printable(tensor->name).c_str(), dtype_name(first->dtype),
            shape_text(first->shape, first->rank).c_str(), dtype_name(tensor->dtype),
            shape_text(tensor->shape, tensor->rank).c_str());
    }

    // ---- What only the tensors know ----

    Status refine_config() {
        QuantConfig& config = entry_.config;
        TRY(const TensorEntry* const scale, expect(0, Part::kDown, Slot::kScale));
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
        const TensorEntry* zero_point = find(0, Part::kDown, Slot::kZeroPoint);
        if (zero_point != nullptr && zero_point->dtype == DType::kI8 &&
            config.format == Format::kCompressedTensors) {
            config.zero_point_form = ZeroPointForm::kInt8;
        }
        return {};
    }

    // Packed along their rows, zero points of gate and up must not share a word.
    Status check_fused_zero_points() const {
        if (parts_.front() != Part::kGateUp || !entry_.config.asymmetric() ||
            entry_.config.zero_point_form == ZeroPointForm::kInt8) {
            return {};
        }
        const int64_t per_word = 32 / entry_.config.bits;
        if (entry_.layer.gate_form != GateForm::kInterleaved &&
            entry_.layer.intermediate_size % per_word == 0) {
            return {};
        }
        return Status::error(
            Code::kUnsupported,
            "%s: expected zero points of gate and up in words of their own, got "
            "fused ones of %lld %s rows",
            prefix().c_str(), static_cast<long long>(entry_.layer.intermediate_size),
            entry_.layer.gate_form == GateForm::kInterleaved ? "interleaved" : "stacked");
    }

    Status check_claims() const {
        const Layer& layer = entry_.layer;
        TRY(check_claim("hidden size", config_.hidden_size, layer.hidden_size));
        TRY(check_claim("intermediate size", claimed_intermediate(), layer.intermediate_size));
        return check_claim("expert count", config_.expert_count, layer.expert_count);
    }

    Status check_claim(const char* what, std::optional<int64_t> claim, int64_t got) const {
        if (!claim || *claim == got) return {};
        return Status::error(Code::kBadData, "%s: %s: expected %lld as config.json says, got %lld",
                             prefix().c_str(), what, static_cast<long long>(*claim),
                             static_cast<long long>(got));
    }

    // ---- Finding and saying ----

    [[nodiscard]] const TensorEntry* find(int64_t set, Part part, Slot slot) const noexcept {
        const LayerTensor* found = tensors_.find(set, part, slot);
        return found == nullptr ? nullptr : &checkpoint_.tensors()[found->tensor];
    }

    Result<const TensorEntry*> expect(int64_t set, Part part, Slot slot) const {
        const TensorEntry* found = find(set, part, slot);
        if (found == nullptr) return missing(set, part, slot);
        return found;
    }

    [[nodiscard]] std::string_view module_of(int64_t set, Part part) const noexcept {
        const LayerTensor* weight = tensors_.find(set, part, Slot::kWeight);
        std::string_view name = checkpoint_.tensors()[weight->tensor].name;
        name.remove_suffix(weight->suffix_bytes);
        return name;
    }

    Status missing(int64_t set, Part part, Slot slot) const {
        if (tensors_.fused()) {
            return Status::error(Code::kMissingTensor, "%s: expected a %s %s tensor, got none",
                                 prefix().c_str(), kPartNames[static_cast<int>(part)],
                                 kSlotNames[static_cast<int>(slot)]);
        }
        return Status::error(Code::kMissingTensor, "%s: expert %lld: expected a %s %s, got none",
                             prefix().c_str(), static_cast<long long>(set),
                             kPartNames[static_cast<int>(part)],
                             kSlotNames[static_cast<int>(slot)]);
    }

    Status unexpected(int64_t set, Part part, Slot slot, const char* why) const {
        const TensorEntry* tensor = find(set, part, slot);
        return Status::error(Code::kBadData, "%s: expected no such tensor, for %s",
                             printable(tensor->name).c_str(), why);
    }

    Status contradiction(Part part, const char* expected, const Dimensions& got) const {
        const int64_t shape[] = {got.outputs, got.inputs};
        return Status::error(Code::kBadData, "%s: %s: expected %s, got %s", prefix().c_str(),
                             kPartNames[static_cast<int>(part)], expected,
                             shape_text(shape, 2).c_str());
    }

    [[nodiscard]] std::string prefix() const { return printable(tensors_.experts_prefix); }
    [[nodiscard]] size_t prefix_bytes() const noexcept { return tensors_.experts_prefix.size(); }

    const Checkpoint& checkpoint_;
    const LayerTensors& tensors_;
    const ModelConfig& config_;
    LayerEntry entry_;
    std::vector<Part> parts_;
    bool gated_ = true;
};

}  // namespace

LayerEntry build_layer(const Checkpoint& checkpoint, const LayerTensors& tensors,
                       const ModelConfig& config) {
    return LayerBuilder(checkpoint, tensors, config).build();
}

}  // namespace mmoe
