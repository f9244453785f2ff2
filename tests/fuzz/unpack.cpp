// SPDX-License-Identifier: Apache-2.0
// Input: a quant config, dimensions, and bytes that become the tensors of one projection, in the
// shapes and types that the format expects, or nearly. What passes the checks must unpack to a
// canonical form that keeps its promises.
#include <cmath>
#include <vector>

#include "bytes.h"
#include "target.h"
#include "unpack/unpack.h"

using namespace mmoe;

namespace {

constexpr int64_t kMaxOutputs = 72;  // more than one block of 64
constexpr int64_t kMaxInputs = 144;  // more than one group of 128

QuantConfig take_config(fuzz::Bytes& input) {
    QuantConfig config;
    config.format = static_cast<Format>(input.up_to(static_cast<int>(Format::kMarlin)));
    config.bits = input.flag() ? 4 : static_cast<int>(input.up_to(9));
    constexpr int32_t kGroups[] = {8, 16, 32, 64, 128, 1, 0, -1};
    if (const int64_t group = input.up_to(9); group < 8) config.group_size = kGroups[group];
    config.symmetry = static_cast<Symmetry>(input.up_to(1));
    config.zero_point_form = static_cast<ZeroPointForm>(input.up_to(3));
    config.order = static_cast<Order>(input.up_to(2));
    if (input.flag()) config.scale_type = static_cast<layout::ScaleType>(1 + input.up_to(2));
    return config;
}

// Memory of exactly a tensor's size.
struct Tensor {
    TensorView view;
    std::vector<uint64_t> words;  // aligned for every type
};

// `mistakes` spoils one thing in sixteen.
void make_tensor(const QuantConfig& config, int64_t outputs, int64_t inputs, Role role,
                 fuzz::Bytes& input, Tensor* tensor) {
    const ExpectedTensor expected = expected_tensor(config, outputs, inputs, role);
    const auto mistake = input.up_to(31);
    if (expected.rank == 0 || mistake == 0) return;
    TensorView& view = tensor->view;
    view.dtype = expected.dtypes[static_cast<size_t>(input.up_to(7)) % expected.dtypes.size()];
    if (mistake == 1) view.dtype = static_cast<DType>(1 + input.up_to(8));
    view.rank = mistake == 2 ? 1 : expected.rank;
    int64_t count = 1;
    for (int axis = 0; axis < view.rank; ++axis) {
        view.shape[axis] = expected.shape[axis] + (mistake == 3 + axis ? 1 : 0);
        count *= view.shape[axis];
    }
    const size_t size_bytes = static_cast<size_t>(count) * dtype_bytes(view.dtype);
    tensor->words.resize(size_bytes / sizeof(uint64_t) + 1);
    auto* bytes = reinterpret_cast<uint8_t*>(tensor->words.data());
    const std::string_view pattern = input.rest().substr(0, 64);
    for (size_t i = 0; !pattern.empty() && i < size_bytes; i += pattern.size()) {
        std::memcpy(bytes + i, pattern.data(), std::min(pattern.size(), size_bytes - i));
    }
    // Scales are kept finite half of the time, groups in their plain order.
    if (role == Role::kScale && mistake % 2 == 0) {
        for (uint64_t& word : tensor->words) word &= 0x3F3F3F3F3F3F3F3F;
    }
    if (role == Role::kGroupIndex && mistake % 2 == 0) {
        const int64_t group = config.group_size_for(inputs);
        auto* groups = reinterpret_cast<int32_t*>(bytes);
        for (int64_t k = 0; k < inputs; ++k) groups[k] = static_cast<int32_t>(k / group);
    }
    view.data = bytes;
}

void require_strip(const Canonical& strip, int64_t rows, int64_t inputs) {
    fuzz::require(strip.rows == rows && strip.columns == inputs);
    fuzz::require(strip.order.empty() || strip.order.size() == static_cast<size_t>(inputs));
    std::vector<bool> seen(strip.order.empty() ? 0 : static_cast<size_t>(inputs));
    for (const int32_t from : strip.order) {
        fuzz::require(from >= 0 && from < inputs && !seen[static_cast<size_t>(from)]);
        seen[static_cast<size_t>(from)] = true;
    }
    for (int64_t row = 0; row < rows; ++row) {
        for (int64_t group = 0; group < strip.groups(); ++group) {
            fuzz::require(std::isfinite(strip.scale(row, group)));
            fuzz::require(strip.zero_point(row, group) < 1U << strip.bits);
        }
        uint32_t sum = 0;
        for (int64_t k = 0; k < inputs; ++k) sum += strip.code(row, k);
        fuzz::require(sum < (1U << strip.bits) * static_cast<uint32_t>(inputs));
    }
}

// Dimensions of any size: an answer, and no arithmetic that wraps.
void ask_about_any_dimensions(const QuantConfig& config, fuzz::Bytes& input) {
    const auto outputs = static_cast<int64_t>(input.take<uint64_t>() >> 1);
    const auto inputs = static_cast<int64_t>(input.take<uint64_t>() >> 1);
    if (outputs == 0 || inputs == 0) return;
    const Status status = check_dimensions(config, outputs, inputs);
    if (!status.ok()) fuzz::require_sentence(status);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes input(data, size);
    const QuantConfig config = take_config(input);
    if (const Status valid = validate(config); !valid.ok()) {
        fuzz::require_sentence(valid);
        return 0;
    }
    ask_about_any_dimensions(config, input);
    const int64_t outputs = 1 + input.up_to(kMaxOutputs - 1);
    const int64_t inputs = 1 + input.up_to(kMaxInputs - 1);
    if (const Status exist = check_dimensions(config, outputs, inputs); !exist.ok()) {
        fuzz::require_sentence(exist);
        return 0;
    }
    Tensor weight, scale, zero_point, group_index;
    make_tensor(config, outputs, inputs, Role::kWeight, input, &weight);
    make_tensor(config, outputs, inputs, Role::kScale, input, &scale);
    make_tensor(config, outputs, inputs, Role::kZeroPoint, input, &zero_point);
    make_tensor(config, outputs, inputs, Role::kGroupIndex, input, &group_index);
    const ProjectionTensors tensors{weight.view, scale.view, zero_point.view, group_index.view};
    const int64_t max_rows = 1 + input.up_to(outputs - 1);
    if (const Status checked = check_projection(config, outputs, inputs, tensors); !checked.ok()) {
        fuzz::require_sentence(checked);
        return 0;
    }
    auto unpacker = Unpacker::create(config, outputs, inputs, tensors, max_rows,
                                     std::make_shared<const Allocator>());
    if (!unpacker.ok()) {
        fuzz::require_sentence(unpacker.status());
        return 0;
    }
    for (int64_t row = 0; row < outputs; row += max_rows) {
        const int64_t rows = std::min(max_rows, outputs - row);
        require_strip(unpacker.value()->strip(row, rows), rows, inputs);
    }
    return 0;
}
