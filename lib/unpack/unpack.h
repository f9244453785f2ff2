// SPDX-License-Identifier: Apache-2.0
// From the tensors of one projection, as a quantiser wrote them, to the canonical form. One
// source file a format; this header is what the other rooms see.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/quant_config.h"
#include "checkpoint/tensor.h"
#include "unpack/canonical.h"

namespace mmoe {

// The tensors of one linear layer of one expert; absent ones have null data. Data is aligned to
// its element. In the Marlin format each projection is a matrix of its own, for 16-bit activations,
// and the group index is the order in which the inputs have been sorted.
struct ProjectionTensors {
    TensorView weight;
    TensorView scale;
    TensorView zero_point;
    TensorView group_index;
    // Where its first output stands in the file's projection, if these are a part of one: see
    // part_of_outputs(). Sentences count from the file's first.
    int64_t first_output = 0;
};

// Dimensions and types that a role must have for [N, K] weights; for checks before data is read
// and for sentences. Rank 0: the role does not exist in this format.
struct ExpectedTensor {
    int rank = 0;
    int64_t shape[2] = {};
    std::vector<DType> dtypes;
    bool required = false;  // else the tensor may be left out
};
// "i32 or f16", for sentences.
std::string dtype_list(const std::vector<DType>& dtypes);
ExpectedTensor expected_tensor(const QuantConfig& config, int64_t outputs, int64_t inputs,
                               Role role);

// Whether [N, K] weights exist in this config at all: groups divide K, words divide N or K where
// the format has no padding.
Status check_dimensions(const QuantConfig& config, int64_t outputs, int64_t inputs);

// Rank, shape and type of a role's tensor; its data may still be in a file.
Status check_form(const QuantConfig& config, int64_t outputs, int64_t inputs, Role role,
                  const TensorView& tensor);

// Presence, rank, shape and type of one role of an existing [N, K].
Status check_tensor(const QuantConfig& config, int64_t outputs, int64_t inputs, Role role,
                    const TensorView& tensor);

// Every group has its share of inputs, in their plain order unless the config names another. An
// absent tensor is fine.
Status check_group_order(const QuantConfig& config, int64_t inputs, const TensorView& group_index);

// What a role's tensor of the right shape and type may still get wrong: scales that are not
// finite, zero points that cannot be told, a group index that is none. An absent one is fine.
Status check_values(const QuantConfig& config, int64_t inputs, Role role,
                    const ProjectionTensors& tensors);

// Outputs that every format cuts at whole elements, words and tiles.
inline constexpr int64_t kOutputUnit = 64;

// The part of a role's tensor that belongs to outputs [first, first + rows): together the parts of
// all roles are a projection of `rows` outputs in the same packing. `first` is a multiple of
// kOutputUnit, and so is `rows` unless it reaches the last output.
TensorPart part_of_outputs(const QuantConfig& config, int64_t inputs, Role role, int64_t first,
                           int64_t rows);

// All of the above, then values: finite scales, zero points that can be told, group index. The
// sentence names the role, expected and got; the caller puts layer, expert and projection before
// it.
Status check_projection(const QuantConfig& config, int64_t outputs, int64_t inputs,
                        const ProjectionTensors& tensors);

// A scale below zero: the formula holds for it, but kernels for 8-bit activations need positive
// ones.
struct ScalePlace {
    int64_t output = 0;
    int64_t group = 0;
};
// The first in memory, of checked tensors.
std::optional<ScalePlace> find_negative_scale(const QuantConfig& config,
                                              const ProjectionTensors& tensors);

// [K]: the file column that comes to each place of the canonical form; empty where none moves.
// `group_index` has been checked, or is absent.
std::vector<int32_t> input_order(const QuantConfig& config, int64_t inputs,
                                 const TensorView& group_index);

// What may stand for the codes of a strip.
enum class CodeForm {
    kCanonical,  // nothing else
    kAny,        // also rows of the file, where packers have a way of their own from there
};

// Turns checked tensors into strips of the canonical form. Scratch is allocated once and holds
// one strip of `max_rows` rows. Tensors must outlive the unpacker. A role whose tensor is absent is
// left out of the strips, for callers that want one role alone.
class Unpacker {
  public:
    static Result<std::unique_ptr<Unpacker>> create(const QuantConfig& config, int64_t outputs,
                                                    int64_t inputs,
                                                    const ProjectionTensors& tensors,
                                                    int64_t max_rows,
                                                    std::shared_ptr<const Allocator> allocator,
                                                    CodeForm form = CodeForm::kCanonical);
    virtual ~Unpacker() = default;
    // Where strips are rows of the file: how many rows there are, because no strip is too large
    // and large ones are packed fastest. They start on a multiple of 64 rows. Else 0.
    [[nodiscard]] virtual int64_t wide_rows() const noexcept { return 0; }
    // Rows [first_row, first_row + rows); the views are valid until the next call. Strips that
    // are a multiple of 128 rows are read fastest: whole cache lines in every format.
    virtual Canonical strip(int64_t first_row, int64_t rows) = 0;
};

}  // namespace mmoe
