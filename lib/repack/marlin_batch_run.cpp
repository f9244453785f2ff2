// SPDX-License-Identifier: Apache-2.0
// The work of a batch. A task is some rows of one expert: it unpacks them in strips from the one
// side and packs them on the other. Tasks write different words; the first one that fails, by its
// number, tells the caller.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "base/checked.h"
#include "base/for_each_task.h"
#include "repack/marlin.h"
#include "repack/marlin_batch.h"
#include "unpack/group_order.h"
#include "unpack/scale_memory.h"

namespace mmoe {

namespace {

using layout::kMarlinBlock;
using layout::ScaleType;

constexpr int64_t kStripRows = 128;
constexpr int64_t kTaskRows = 8 * kStripRows;

// One role of a batch, expert by expert.
class BatchRun {
  public:
    BatchRun(const MarlinBatch& batch, const BatchMemory& memory, const BatchRole& role,
             std::shared_ptr<const Allocator> allocator)
        : batch_(batch),
          memory_(memory),
          file_bytes_(role.file.count() / batch.experts *
                      static_cast<int64_t>(dtype_bytes(memory.file_dtype))),
          marlin_bytes_(role.marlin.count() / batch.experts *
                        static_cast<int64_t>(dtype_bytes(memory.marlin_dtype))),
          allocator_(std::move(allocator)) {}

    [[nodiscard]] int64_t pieces_per_expert() const noexcept {
        const bool one_row = memory_.role == Role::kBias || memory_.role == Role::kGroupIndex;
        return one_row ? 1 : ceil_div(batch_.file.outputs, kTaskRows);
    }

    // Values that the file side must not hold.
    [[nodiscard]] Status check(int64_t expert) const {
        const FileShape& shape = batch_.file;
        if (memory_.role != Role::kBias) {
            ProjectionTensors tensors;
            tensor_of(&tensors) = file_view(expert, memory_.role);
            TRY(check_values(shape.config, shape.inputs, memory_.role, tensors));
        }
        return memory_.group_index == nullptr ? Status() : check_group(expert);
    }
    [[nodiscard]] Status check_order(int64_t expert) const {
        if (memory_.role == Role::kGroupIndex) {
            return check_permutation({reinterpret_cast<const int32_t*>(marlin(expert)), inputs()})
                .within("%s", role_name(Role::kGroupIndex));
        }
        return memory_.group_index == nullptr ? Status() : check_group(expert);
    }

    [[nodiscard]] Status pack(int64_t expert, int64_t first_row) const {
        if (memory_.role == Role::kBias) return pack_bias(expert);
        if (memory_.role == Role::kGroupIndex) return pack_order(expert);
        ProjectionTensors tensors;
        tensor_of(&tensors) = file_view(expert, memory_.role);
        tensors.group_index = group_index(expert);
        const FileShape& shape = batch_.file;
        TRY(const auto unpacker, Unpacker::create(shape.config, shape.outputs, shape.inputs,
                                                  tensors, kStripRows, allocator_, CodeForm::kAny));
        const int64_t strip_rows = std::max(kStripRows, unpacker->wide_rows());
        const MarlinShape matrix = typed_matrix(memory_.marlin_dtype);
        const int64_t end = std::min(first_row + kTaskRows, shape.outputs);
        clear_padding(expert, first_row, end - first_row);
        for (int64_t row = first_row; row < end; row += strip_rows) {
            pack_marlin(matrix, unpacker->strip(row, std::min(strip_rows, end - row)),
                        batch_.first_output + row, marlin_tensors(expert));
        }
        return {};
    }

    [[nodiscard]] Status unpack(int64_t expert, int64_t first_row) const {
        if (memory_.role == Role::kBias) return unpack_bias(expert);
        if (memory_.role == Role::kGroupIndex) return unpack_order(expert);
        const FileShape& shape = batch_.file;
        MarlinRows rows{
            .first_output = batch_.first_output, .rows = shape.outputs, .columns = shape.inputs};
        rows.order = input_order(shape.config, shape.inputs, group_index(expert));
        const MarlinTensors tensors = marlin_tensors(expert);
        TRY(const auto unpacker, unpack_marlin(typed_matrix(memory_.marlin_dtype), std::move(rows),
                                               {tensors.weight, tensors.scale, tensors.zero_point},
                                               kStripRows, allocator_));
        const int64_t end = std::min(first_row + kTaskRows, shape.outputs);
        for (int64_t row = first_row; row < end; row += kStripRows) {
            TRY(write(expert, row, unpacker->strip(row, std::min(kStripRows, end - row))));
        }
        return {};
    }

  private:
    // The order that the file's tensor of this expert comes with.
    [[nodiscard]] Status check_group(int64_t expert) const {
        ProjectionTensors tensors;
        tensors.group_index = group_index(expert);
        const FileShape& shape = batch_.file;
        return check_values(shape.config, shape.inputs, Role::kGroupIndex, tensors);
    }

    [[nodiscard]] size_t inputs() const noexcept { return static_cast<size_t>(batch_.file.inputs); }
    [[nodiscard]] uint8_t* file(int64_t expert) const noexcept {
        return static_cast<uint8_t*>(memory_.file) + expert * file_bytes_;
    }
    [[nodiscard]] uint8_t* marlin(int64_t expert) const noexcept {
        return static_cast<uint8_t*>(memory_.marlin) + expert * marlin_bytes_;
    }

    [[nodiscard]] TensorView file_view(int64_t expert, Role role) const {
        const ExpectedTensor expected =
            expected_tensor(batch_.file.config, batch_.file.outputs, batch_.file.inputs, role);
        return {memory_.file_dtype,
                expected.rank,
                {expected.shape[0], expected.shape[1]},
                file(expert)};
    }
    [[nodiscard]] TensorView group_index(int64_t expert) const noexcept {
        if (memory_.group_index == nullptr) return {};
        return {DType::kI32,
                1,
                {batch_.file.inputs},
                memory_.group_index + expert * batch_.file.inputs};
    }
    [[nodiscard]] TensorView& tensor_of(ProjectionTensors* tensors) const noexcept {
        if (memory_.role == Role::kScale) return tensors->scale;
        if (memory_.role == Role::kGroupIndex) return tensors->group_index;
        return memory_.role == Role::kZeroPoint ? tensors->zero_point : tensors->weight;
    }

    // The matrix with the scale type that a tensor has.
    [[nodiscard]] MarlinShape typed_matrix(DType dtype) const noexcept {
        MarlinShape matrix = batch_.matrix;
        if (memory_.role == Role::kScale || memory_.role == Role::kBias) {
            matrix.scale_type = static_cast<ScaleType>(dtype);
        }
        return matrix;
    }
    [[nodiscard]] MarlinTensors marlin_tensors(int64_t expert) const noexcept {
        const auto bytes = static_cast<size_t>(marlin_bytes_);
        uint8_t* data = marlin(expert);
        const std::span<uint32_t> words(reinterpret_cast<uint32_t*>(data), bytes / 4);
        switch (memory_.role) {
            case Role::kScale:
                return {{}, {data, bytes}, {}};
            case Role::kZeroPoint:
                return {{}, {}, words};
            default:
                return {words, {}, {}};
        }
    }

    // Zeros in the blocks of 64 outputs that some rows take, where packing leaves words out: whole
    // tiles and groups past the file's inputs, and tiles past its outputs.
    void clear_padding(int64_t expert, int64_t first_row, int64_t rows) const noexcept {
        const MarlinShape& m = batch_.matrix;
        if (m.inputs == batch_.file.inputs && rows % kMarlinBlock == 0) return;
        // Lines of the tensor: one a row of tiles, or one a group.
        const bool weight = memory_.role == Role::kWeight;
        const int64_t lines = weight ? m.inputs / layout::marlin_tile_inputs(m.tile) : m.groups;
        const int64_t output_bytes_times_outputs = marlin_bytes_ / lines;
        const int64_t blocks = m.outputs / kMarlinBlock;
        const int64_t block_bytes = output_bytes_times_outputs / blocks;
        const int64_t first_block = (batch_.first_output + first_row) / kMarlinBlock;
        const int64_t taken = ceil_div(rows, int64_t{kMarlinBlock});
        for (int64_t line = 0; line < lines; ++line) {
            std::memset(
                marlin(expert) + line * output_bytes_times_outputs + first_block * block_bytes, 0,
                static_cast<size_t>(taken * block_bytes));
        }
    }

    [[nodiscard]] Status write(int64_t expert, int64_t row, Canonical strip) const {
        switch (memory_.role) {
            case Role::kScale:
                strip.scale_type = static_cast<ScaleType>(memory_.file_dtype);
                write_scales(batch_.file, strip, row, file(expert));
                return {};
            case Role::kZeroPoint:
                return write_zero_points(batch_.file, strip, row, file(expert));
            default:
                write_codes(batch_.file, strip, row, reinterpret_cast<uint32_t*>(file(expert)));
                return {};
        }
    }

    [[nodiscard]] Status pack_bias(int64_t expert) const {
        const auto from = static_cast<ScaleType>(memory_.file_dtype);
        std::vector<float> bias(
            static_cast<size_t>(round_up(batch_.file.outputs, int64_t{kMarlinBlock})));
        for (int64_t n = 0; n < batch_.file.outputs; ++n) {
            bias[static_cast<size_t>(n)] = load_scale(from, file(expert), n);
        }
        pack_marlin_bias(typed_matrix(memory_.marlin_dtype), bias, batch_.first_output,
                         {marlin(expert), static_cast<size_t>(marlin_bytes_)});
        return {};
    }
    [[nodiscard]] Status unpack_bias(int64_t expert) const {
        std::vector<float> bias(static_cast<size_t>(batch_.file.outputs));
        unpack_marlin_bias(typed_matrix(memory_.marlin_dtype),
                           {marlin(expert), static_cast<size_t>(marlin_bytes_)},
                           batch_.first_output, bias);
        const auto to = static_cast<ScaleType>(memory_.file_dtype);
        for (int64_t n = 0; n < batch_.file.outputs; ++n) {
            store_scale(to, file(expert), n, bias[static_cast<size_t>(n)]);
        }
        return {};
    }

    // [K] of the matrix: the file column that stands at each place. [K] of the file: the group of
    // each column.
    [[nodiscard]] Status pack_order(int64_t expert) const {
        const std::span<const int32_t> index(reinterpret_cast<const int32_t*>(file(expert)),
                                             inputs());
        const auto order =
            group_order(index, batch_.file.config.group_size_for(batch_.file.inputs));
        std::copy(order.begin(), order.end(), reinterpret_cast<int32_t*>(marlin(expert)));
        return {};
    }
    [[nodiscard]] Status unpack_order(int64_t expert) const {
        const auto* order = reinterpret_cast<const int32_t*>(marlin(expert));
        auto* index = reinterpret_cast<int32_t*>(file(expert));
        const int64_t group_size = batch_.file.config.group_size_for(batch_.file.inputs);
        for (int64_t k = 0; k < batch_.file.inputs; ++k) {
            index[order[k]] = static_cast<int32_t>(k / group_size);
        }
        return {};
    }

    const MarlinBatch& batch_;
    const BatchMemory& memory_;
    int64_t file_bytes_;    // of one expert
    int64_t marlin_bytes_;  // of one expert
    std::shared_ptr<const Allocator> allocator_;
};

// Checks every expert before a byte is written, then does the work.
template <class Check, class Work>
Status run_batch(const MarlinBatch& batch, const BatchMemory& memory, const BatchWorkers& workers,
                 const Check& check, const Work& work) {
    TRY(const BatchRole role, describe_marlin_role(batch, memory.role));
    const BatchRun run(batch, memory, role, workers.allocator);
    const auto within = [](Status status, int64_t expert) {
        return status.ok() ? status : std::move(status).within("expert %" PRId64, expert);
    };
    TRY(for_each_task(workers.parallel, batch.experts, [&](int64_t expert) -> Status {
        return within(check(run, expert), expert);
    }));
    const int64_t pieces = run.pieces_per_expert();
    return for_each_task(workers.parallel, batch.experts * pieces, [&](int64_t i) -> Status {
        return within(work(run, i / pieces, i % pieces * kTaskRows), i / pieces);
    });
}

}  // namespace

Status pack_marlin_batch(const MarlinBatch& batch, const BatchMemory& memory,
                         const BatchWorkers& workers) {
    return run_batch(
        batch, memory, workers,
        [](const BatchRun& run, int64_t expert) { return run.check(expert); },
        [](const BatchRun& run, int64_t expert, int64_t row) { return run.pack(expert, row); });
}

Status unpack_marlin_batch(const MarlinBatch& batch, const BatchMemory& memory,
                           const BatchWorkers& workers) {
    return run_batch(
        batch, memory, workers,
        [](const BatchRun& run, int64_t expert) { return run.check_order(expert); },
        [](const BatchRun& run, int64_t expert, int64_t row) { return run.unpack(expert, row); });
}

}  // namespace mmoe
