// SPDX-License-Identifier: Apache-2.0
#include "exec/executor_options.h"

namespace mmoe {

Status check_given_workspace(const ExecutorOptions& options, uint64_t needed_bytes) {
    constexpr uintptr_t kAlignmentBytes = 256;
    if (reinterpret_cast<uintptr_t>(options.workspace) % kAlignmentBytes != 0) {
        return Status::error(Code::kInvalidArgument,
                             "workspace: expected an address aligned to "
                             "256 bytes, got %p",
                             options.workspace);
    }
    if (options.workspace_bytes >= needed_bytes) return {};
    return Status::error(Code::kInvalidArgument,
                         "workspace: expected at least %llu bytes, got %llu",
                         static_cast<unsigned long long>(needed_bytes),
                         static_cast<unsigned long long>(options.workspace_bytes));
}

}  // namespace mmoe
