// SPDX-License-Identifier: Apache-2.0
// What the tensors of a projection must look like in each format, and whether they do. Nothing
// that passes here can make an unpacker read outside a tensor or produce a number that is not
// the one the file means.
#include <cinttypes>
#include <cmath>
#include <cstddef>
#include <string>

#include "base/checked.h"
#include "layout/marlin.h"
#include "unpack/fields.h"
#include "unpack/group_order.h"
#include "unpack/scales.h"
#include "unpack/unpack.h"
#include "unpack/zero_points.h"

namespace mmoe {

namespace {

// How a format packs [N, K]; p = 32 / bits fields a word, G groups.
struct PackedShapes {
    int64_t weight[2];
    int64_t scale[2];
    int64_t zero_point[2];
};

// Marlin tensors are those of 16-bit activations.
constexpr int64_t kMarlinInputs = layout::marlin_tile_inputs(layout::MarlinTile::kK16N64);

PackedShapes packed_shapes(const QuantConfig& config, int64_t outputs, int64_t inputs) {
    const int64_t per_word = 32 / config.bits;
    const int64_t groups = inputs / config.group_size_for(inputs);
    switch (config.format) {
        case Format::kGptq:
            return {{inputs / per_word, outputs}, {groups, outputs}, {groups, outputs / per_word}};
        case Format::kAwq:
            return {{inputs, outputs / per_word}, {groups, outputs}, {groups, outputs / per_word}};
        case Format::kMarlin:
            return {{inputs / kMarlinInputs, outputs * kMarlinInputs / per_word},
                    {groups, outputs},
                    {groups, outputs / per_word}};
        default:  // compressed-tensors
            return {{outputs, ceil_div(inputs, per_word)},
                    {outputs, groups},
                    {config.zero_point_form == ZeroPointForm::kInt8 ? outputs
                                                                    : ceil_div(outputs, per_word),
                     groups}};
    }
}

// What N and K must be multiples of, because the format has no padding.
struct WholeUnits {
    int64_t outputs;
    int64_t inputs;
};

WholeUnits whole_units(const QuantConfig& config) {
    const int64_t per_word = 32 / config.bits;
    switch (config.format) {
        case Format::kGptq:
            return {per_word, per_word};
        case Format::kAwq:
            return {per_word, 1};
        case Format::kMarlin:
            return {layout::kMarlinBlock, kMarlinInputs};
        default:  // compressed-tensors
            return {1, 1};
    }
}

Status expect_multiple(const char* what, int64_t size, int64_t unit) {
    if (size % unit == 0) return {};
    return Status::error(Code::kUnsupported,
                         "%s: expected a multiple of %" PRId64 " in this packing, got %" PRId64,
                         what, unit, size);
}

ExpectedTensor matrix(const int64_t (&shape)[2], std::vector<DType> dtypes, bool required) {
    return {2, {shape[0], shape[1]}, std::move(dtypes), required};
}

std::vector<DType> scale_dtypes(const QuantConfig& config) {
    if (config.scale_type) return {static_cast<DType>(*config.scale_type)};
    return {DType::kF16, DType::kBf16, DType::kF32};
}

ExpectedTensor expected_zero_point(const QuantConfig& config, const PackedShapes& shapes) {
    if (config.zero_point_form == ZeroPointForm::kInt8) {
        if (!config.asymmetric()) return {};
        return matrix(shapes.zero_point, {DType::kI8}, true);
    }
    // GPTQ files carry zero points even where they say nothing; other formats leave them out.
    if (!config.asymmetric() && config.format != Format::kGptq) return {};
    return matrix(shapes.zero_point, {DType::kI32}, config.asymmetric());
}

bool has_shape(const ExpectedTensor& expected, const TensorView& tensor) {
    if (tensor.rank != expected.rank) return false;
    for (int axis = 0; axis < expected.rank; ++axis) {
        if (tensor.shape[axis] != expected.shape[axis]) return false;
    }
    return true;
}

// Index of the first scale that `is_wanted`, or -1.
template <class Wanted>
int64_t find_scale(const TensorView& scale, const Wanted& is_wanted) {
    const int64_t count = scale.shape[0] * scale.shape[1];
    int64_t found = -1;
    with_scales(scale, [&](auto load) {
        for (int64_t i = 0; i < count && found < 0; ++i) {
            if (is_wanted(load(i))) found = i;
        }
    });
    return found;
}

// Rows of compressed-tensors are outputs; those of other formats are groups.
bool outputs_come_first(const QuantConfig& config) {
    return config.format == Format::kCompressedTensors;
}

// Marlin's outputs are named by their place in memory.
ScalePlace place_of(const QuantConfig& config, const ProjectionTensors& tensors, int64_t index) {
    const int64_t row = index / tensors.scale.shape[1];
    const int64_t column = index % tensors.scale.shape[1];
    if (outputs_come_first(config)) return {tensors.first_output + row, column};
    return {tensors.first_output + column, row};
}

Status check_scales(const QuantConfig& config, const ProjectionTensors& tensors) {
    if (tensors.scale.absent()) return {};
    const int64_t bad =
        find_scale(tensors.scale, [](float scale) { return !std::isfinite(scale); });
    if (bad < 0) return {};
    const ScalePlace place = place_of(config, tensors, bad);
    return Status::error(Code::kBadData,
                         "scale of output %" PRId64 ", group %" PRId64
                         ": expected a finite number, got infinity or NaN",
                         place.output, place.group);
}

}  // namespace

std::string dtype_list(const std::vector<DType>& dtypes) {
    std::string text;
    for (const DType dtype : dtypes) {
        if (!text.empty()) text += " or ";
        text += dtype_name(dtype);
    }
    return text;
}

ExpectedTensor expected_tensor(const QuantConfig& config, int64_t outputs, int64_t inputs,
                               Role role) {
    const PackedShapes shapes = packed_shapes(config, outputs, inputs);
    switch (role) {
        case Role::kWeight:
            return matrix(shapes.weight, {DType::kI32}, true);
        case Role::kScale:
            return matrix(shapes.scale, scale_dtypes(config), true);
        case Role::kZeroPoint:
            return expected_zero_point(config, shapes);
        case Role::kGroupIndex:
            if (config.format == Format::kAwq) return {};
            return {1, {inputs}, {DType::kI32}, config.order == Order::kGroup};
        case Role::kBias:
            break;
    }
    return {1, {outputs}, {DType::kF16, DType::kBf16, DType::kF32}, false};
}

Status check_dimensions(const QuantConfig& config, int64_t outputs, int64_t inputs) {
    const int64_t group_size = config.group_size_for(inputs);
    if (group_size <= 0 || inputs % group_size != 0) {
        return Status::error(Code::kUnsupported,
                             "group size: expected a divisor of %" PRId64 " inputs, got %" PRId64,
                             inputs, group_size);
    }
    const WholeUnits whole = whole_units(config);
    TRY(expect_multiple("inputs", inputs, whole.inputs));
    return expect_multiple("outputs", outputs, whole.outputs);
}

Status check_tensor(const QuantConfig& config, int64_t outputs, int64_t inputs, Role role,
                    const TensorView& tensor) {
    if (tensor.absent()) {
        const ExpectedTensor expected = expected_tensor(config, outputs, inputs, role);
        if (!expected.required) return {};
        return Status::error(Code::kMissingTensor, "%s: expected %s %s, got no tensor",
                             role_name(role), dtype_list(expected.dtypes).c_str(),
                             shape_text(expected.shape, expected.rank).c_str());
    }
    return check_form(config, outputs, inputs, role, tensor);
}

Status check_form(const QuantConfig& config, int64_t outputs, int64_t inputs, Role role,
                  const TensorView& tensor) {
    const ExpectedTensor expected = expected_tensor(config, outputs, inputs, role);
    const std::string shape = shape_text(expected.shape, expected.rank);
    const std::string got = shape_text(tensor.shape, tensor.rank);
    if (expected.rank == 0) {
        return Status::error(Code::kBadData, "%s: expected no tensor by the config, got %s %s",
                             role_name(role), dtype_name(tensor.dtype), got.c_str());
    }
    if (!has_shape(expected, tensor)) {
        return Status::error(Code::kShape, "%s: expected %s, got %s", role_name(role),
                             shape.c_str(), got.c_str());
    }
    for (const DType dtype : expected.dtypes) {
        if (dtype == tensor.dtype) return {};
    }
    return Status::error(Code::kDtype, "%s: expected %s, got %s", role_name(role),
                         dtype_list(expected.dtypes).c_str(), dtype_name(tensor.dtype));
}

Status check_group_order(const QuantConfig& config, int64_t inputs, const TensorView& group_index) {
    if (group_index.absent()) return {};
    const int64_t group_size = config.group_size_for(inputs);
    const std::span<const int32_t> groups(static_cast<const int32_t*>(group_index.data),
                                          static_cast<size_t>(inputs));
    if (config.format == Format::kMarlin) {
        return check_permutation(groups).within("%s", role_name(Role::kGroupIndex));
    }
    TRY(check_group_index(groups, group_size));
    if (config.order == Order::kGroup || is_plain_order(groups, group_size)) return {};
    return Status::error(Code::kBadData,
                         "%s: expected input / %" PRId64
                         " because the config names no activation order, got another order",
                         role_name(Role::kGroupIndex), group_size);
}

Status check_values(const QuantConfig& config, int64_t inputs, Role role,
                    const ProjectionTensors& tensors) {
    switch (role) {
        case Role::kScale:
            return check_scales(config, tensors);
        case Role::kZeroPoint:
            return check_zero_points(config, tensors.zero_point, tensors.first_output);
        case Role::kGroupIndex:
            return check_group_order(config, inputs, tensors.group_index);
        default:
            return {};  // every code is a number
    }
}

Status check_projection(const QuantConfig& config, int64_t outputs, int64_t inputs,
                        const ProjectionTensors& tensors) {
    TRY(check_dimensions(config, outputs, inputs));
    TRY(check_tensor(config, outputs, inputs, Role::kWeight, tensors.weight));
    TRY(check_tensor(config, outputs, inputs, Role::kScale, tensors.scale));
    TRY(check_tensor(config, outputs, inputs, Role::kZeroPoint, tensors.zero_point));
    TRY(check_tensor(config, outputs, inputs, Role::kGroupIndex, tensors.group_index));
    TRY(check_values(config, inputs, Role::kScale, tensors));
    TRY(check_values(config, inputs, Role::kGroupIndex, tensors));
    return check_values(config, inputs, Role::kZeroPoint, tensors);
}

TensorPart part_of_outputs(const QuantConfig& config, int64_t inputs, Role role, int64_t first,
                           int64_t rows) {
    // What outputs before `first` and the rows themselves take is what any projection of so many
    // outputs takes.
    const ExpectedTensor before = expected_tensor(config, first, inputs, role);
    const ExpectedTensor own = expected_tensor(config, rows, inputs, role);
    TensorPart part;
    for (int axis = 0; axis < own.rank; ++axis) part.count[axis] = own.shape[axis];
    if (role == Role::kGroupIndex) return part;
    const int axis = own.rank == 1 || outputs_come_first(config) ? 0 : 1;
    part.first[axis] = before.shape[axis];
    return part;
}

std::optional<ScalePlace> find_negative_scale(const QuantConfig& config,
                                              const ProjectionTensors& tensors) {
    const int64_t found = find_scale(tensors.scale, [](float scale) { return scale < 0; });
    if (found < 0) return std::nullopt;
    return place_of(config, tensors, found);
}

}  // namespace mmoe
