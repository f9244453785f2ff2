// SPDX-License-Identifier: Apache-2.0
// The rows of the prefill kernel, from all sources.
#include "cuda/prefill_rows.h"

#include <cassert>

#include "cuda/prefill_instances.h"

namespace mmoe::cuda {
namespace {

struct PrefillRows {
    static constexpr size_t kMost = 24;

    Row rows[kMost];
    size_t count = 0;

    PrefillRows() noexcept {
        for (const std::span<const Row> part : {rows_prefill_bf16_int4(), rows_prefill_bf16_int8(),
                                                rows_prefill_f16_int4(), rows_prefill_f16_int8()}) {
            assert(count + part.size() <= kMost);
            for (const Row& row : part) rows[count++] = row;
        }
    }
};

}  // namespace

std::span<const Row> rows_prefill() noexcept {
    static const PrefillRows rows;
    return {rows.rows, rows.count};
}

}  // namespace mmoe::cuda
