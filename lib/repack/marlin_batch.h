// SPDX-License-Identifier: Apache-2.0
// Marlin tensors of all experts at once, role by role: what the public mmoe_marlin_* functions do.
//
// One projection of every expert, as a quantiser wrote it, becomes a window of one GEMM operand of
// every expert, and back. In order: the shapes that both sides must have, the values that they may
// hold, then strips of every expert, on as many threads as the caller's loop has.
#pragma once

#include <cstdint>
#include <memory>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "checkpoint/layer.h"
#include "checkpoint/tensor.h"
#include "repack/file_form.h"
#include "unpack/marlin.h"
#include "unpack/unpack.h"

namespace mmoe {

struct MarlinBatch {
    FileShape file;      // of one expert
    MarlinShape matrix;  // of one expert; padded
    int64_t experts = 0;
    int64_t first_output = 0;  // of the matrix, where the file's outputs begin
};

// What a caller says of the matrices.
struct MarlinBatchFields {
    int64_t experts = 0;
    int64_t outputs = 0;         // N of the file
    int64_t inputs = 0;          // K of the file
    int64_t padded_outputs = 0;  // N of the matrix
    int64_t padded_inputs = 0;   // K of the matrix
    int64_t first_output = 0;
    layout::MarlinTile tile = layout::MarlinTile::kK16N64;
};

// Proves that the matrices exist: whole tiles, whole groups, the file inside of the matrix.
Result<MarlinBatch> plan_marlin_batch(const QuantConfig& config, const MarlinBatchFields& fields);

// One side of a role: all experts in one tensor, [E, ...].
struct BatchTensor {
    int rank = 0;
    int64_t shape[4] = {};
    std::vector<DType> dtypes;  // first the one that is proposed

    [[nodiscard]] int64_t count() const noexcept;  // elements
};
// Inputs of one row of a weight tensor, whatever the tile.
inline constexpr int64_t kMarlinRowInputs = 16;

// The order of `inputs` inputs of every expert.
[[nodiscard]] BatchTensor order_tensor(int64_t experts, int64_t inputs);
// A role's tensor of `experts` matrices; `numbers` are the types that scales or biases may have.
// Rank 0: a group index, which is an order of the file's inputs.
[[nodiscard]] BatchTensor marlin_tensor(const MarlinShape& matrix, int64_t experts, Role role,
                                        std::vector<DType> numbers);

struct BatchRole {
    BatchTensor file;
    BatchTensor marlin;
};
// Refuses a role that the format or the layout does not have.
Result<BatchRole> describe_marlin_role(const MarlinBatch& batch, Role role);

// Memory of a role. The side that is read may be const memory: it is not written.
struct BatchMemory {
    Role role = Role::kWeight;
    void* file = nullptr;
    void* marlin = nullptr;
    DType file_dtype = DType::kI32;
    DType marlin_dtype = DType::kI32;
    const int32_t* group_index = nullptr;  // [E, K] of the file; weights in activation order only
};

// Where the work is done. Null: the calling thread alone.
struct BatchWorkers {
    Parallel* parallel = nullptr;
    std::shared_ptr<const Allocator> allocator;
};

// Writes whole blocks of 64 outputs from first_output on, their padding as zeros, and nothing
// else. The sentence of a refusal names the expert.
Status pack_marlin_batch(const MarlinBatch& batch, const BatchMemory& memory,
                         const BatchWorkers& workers);
// Inverse: writes all of the file side.
Status unpack_marlin_batch(const MarlinBatch& batch, const BatchMemory& memory,
                           const BatchWorkers& workers);

}  // namespace mmoe
