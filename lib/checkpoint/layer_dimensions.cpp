// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/layer_dimensions.h"

#include <array>

#include "base/checked.h"
#include "checkpoint/text.h"

namespace mmoe {
namespace {

// The public header counts dimensions in 32 bits.
constexpr int64_t kMaxDimension = INT32_MAX;

struct Dimensions {
    int64_t outputs = 0;  // N
    int64_t inputs = 0;   // K

    [[nodiscard]] bool operator==(const Dimensions&) const noexcept = default;
    [[nodiscard]] std::string text() const {
        const int64_t shape[] = {outputs, inputs};
        return shape_text(shape, 2);
    }
};

class DimensionReader {
  public:
    DimensionReader(const LayerView& view, const QuantConfig& config,
                    const DimensionClaims& claims) noexcept
        : view_(view), config_(config), claims_(claims), per_word_(32 / config.bits) {}

    Result<Dimensions> read(Part part) const {
        TRY(const TensorEntry* const weight, view_.expect(0, part, Slot::kWeight));
        const int axis = view_.tensors().fused() ? 1 : 0;
        if (weight->rank != axis + 2 || weight->dtype != DType::kI32) {
            return Status::error(Code::kBadData, "%s: expected I32 of %d dimensions, got %s %s",
                                 printable(weight->name).c_str(), axis + 2,
                                 dtype_name(weight->dtype),
                                 shape_text(weight->shape, weight->rank).c_str());
        }
        const int64_t rows = weight->shape[axis];
        const int64_t columns = weight->shape[axis + 1];
        for (const int64_t size : {weight->shape[0], rows, columns}) {
            if (size > 0 && size <= kMaxDimension / per_word_) continue;
            return Status::error(
                Code::kUnsupported, "%s: expected dimensions from 1 to 2^31 - 1, got %s",
                printable(weight->name).c_str(), shape_text(weight->shape, weight->rank).c_str());
        }
        switch (config_.format) {
            case Format::kGptq:
                return Dimensions{columns, rows * per_word_};
            case Format::kAwq:
                return Dimensions{columns * per_word_, rows};
            case Format::kCompressedTensors:
            case Format::kMarlin:
                break;
        }
        return read_packed(part, rows, columns);
    }

    [[nodiscard]] Status contradiction(Part part, const std::string& expected,
                                       const Dimensions& got) const {
        return Status::error(Code::kBadData, "%s: %s: expected %s, got %s", view_.prefix().c_str(),
                             part_name(part), expected.c_str(), got.text().c_str());
    }

  private:
    // A row of `words` may end with padding: how many inputs it has, weight_shape knows, else
    // config.json, else there is no padding.
    Result<Dimensions> read_packed(Part part, int64_t rows, int64_t words) const {
        Dimensions found{rows, words * per_word_};
        const std::optional<int64_t> claim =
            part == Part::kDown ? claims_.intermediate_size : claims_.hidden_size;
        if (view_.find(0, part, Slot::kShape) != nullptr) {
            TRY(found, read_shape(part));
        } else if (claim && ceil_div(*claim, per_word_) == words) {
            found.inputs = *claim;
        }
        if (found.outputs == rows && found.inputs > 0 &&
            ceil_div(found.inputs, per_word_) == words) {
            return found;
        }
        const int64_t packed[] = {rows, words};
        return contradiction(part, "what fits " + shape_text(packed, 2) + " packed words", found);
    }

    // The last two numbers: of [N, K], or of [E, N, K] where all experts are in one tensor. Most
    // writers store 64 bits each; Kimi-K2-Thinking stores 32.
    Result<Dimensions> read_shape(Part part) const {
        TRY(const TensorEntry* const shape, view_.expect(0, part, Slot::kShape));
        const bool wide = shape->dtype == DType::kI64;
        if (shape->rank != 1 || shape->shape[0] < 2 || shape->shape[0] > 3 ||
            (!wide && shape->dtype != DType::kI32)) {
            return Status::error(Code::kBadData, "%s: expected I64 [2] or [3], got %s %s",
                                 printable(shape->name).c_str(), dtype_name(shape->dtype),
                                 shape_text(shape->shape, shape->rank).c_str());
        }
        const auto last = static_cast<uint64_t>(shape->shape[0] - 1);
        if (wide) return read_numbers<int64_t>(*shape, last - 1);
        return read_numbers<int32_t>(*shape, last - 1);
    }

    // Outputs at `index`, then inputs.
    template <class Number>
    Result<Dimensions> read_numbers(const TensorEntry& shape, uint64_t index) const {
        std::array<Number, 2> numbers = {};
        TRY(view_.checkpoint().read(shape, index * sizeof(Number),
                                    {reinterpret_cast<uint8_t*>(numbers.data()), sizeof numbers}));
        return Dimensions{numbers[0], numbers[1]};
    }

    const LayerView& view_;
    const QuantConfig& config_;
    const DimensionClaims& claims_;
    int64_t per_word_;
};

}  // namespace

Status read_layer_dimensions(const LayerView& view, std::span<const Part> parts,
                             const QuantConfig& config, const DimensionClaims& claims,
                             Layer* layer) {
    const DimensionReader reader(view, config, claims);
    const Part first = parts.front();
    const bool fused = first == Part::kGateUp;
    TRY(const Dimensions up, reader.read(first));
    if (fused && up.outputs % 2 != 0) {
        return reader.contradiction(first, "an even number of rows", up);
    }
    layer->hidden_size = up.inputs;
    layer->intermediate_size = fused ? up.outputs / 2 : up.outputs;
    const Dimensions down{layer->hidden_size, layer->intermediate_size};
    for (const Part part : parts) {
        TRY(const Dimensions got, reader.read(part));
        const Dimensions& wanted = part == Part::kDown ? down : up;
        if (got != wanted) return reader.contradiction(part, wanted.text(), got);
    }
    if (view.tensors().fused()) {
        TRY(const TensorEntry* const weight, view.expect(0, Part::kDown, Slot::kWeight));
        layer->expert_count = weight->shape[0];
    }
    return {};
}

}  // namespace mmoe
