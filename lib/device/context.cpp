// SPDX-License-Identifier: Apache-2.0
#include "device/context.h"

namespace mmoe {

Result<Budget::Lease> Budget::take(const std::shared_ptr<Budget>& budget, uint64_t size_bytes,
                                   const char* what) {
    uint64_t used = budget->used_bytes_.load(std::memory_order_relaxed);
    do {
        if (budget->limit_bytes_ != 0 &&
            (used > budget->limit_bytes_ || size_bytes > budget->limit_bytes_ - used)) {
            return Status::error(Code::kMemoryBudget,
                                 "%s: needs %llu bytes; %llu of the context's budget of %llu are "
                                 "in use",
                                 what, static_cast<unsigned long long>(size_bytes),
                                 static_cast<unsigned long long>(used),
                                 static_cast<unsigned long long>(budget->limit_bytes_));
        }
    } while (!budget->used_bytes_.compare_exchange_weak(used, used + size_bytes,
                                                        std::memory_order_relaxed));
    Lease lease;
    lease.budget_ = budget;
    lease.size_bytes_ = size_bytes;
    return lease;
}

}  // namespace mmoe
