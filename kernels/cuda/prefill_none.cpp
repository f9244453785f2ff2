// SPDX-License-Identifier: Apache-2.0
// Takes the place of prefill_rows.cu in builds that do not compile for sm_90a.
#include "cuda/prefill_rows.h"

namespace mmoe::cuda {

std::span<const Row> rows_prefill() noexcept {
    return {};
}

}  // namespace mmoe::cuda
