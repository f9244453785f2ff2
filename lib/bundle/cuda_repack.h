// SPDX-License-Identifier: Apache-2.0
// The one kernel launch of this room. A build without the toolkit has cuda_repack_none.cpp.
#pragma once

#include "base/status.h"
#include "cuda/repack.h"

namespace mmoe {

// Enqueues cuda::launch_repack() on a cudaStream_t.
Status repack_on_device(const cuda::RepackSource& source, const cuda::RepackTarget& target,
                        void* stream);

}  // namespace mmoe
