// SPDX-License-Identifier: Apache-2.0
// repack/marlin_batch.h on device memory.
#pragma once

#include "base/status.h"
#include "device/context.h"
#include "repack/marlin_batch.h"

namespace mmoe {

// Enqueues what pack_marlin_batch() does on a cudaStream_t, or null; the memory is the device's.
// Values are not looked at. Refuses activation order and tiles for 8-bit activations.
Status pack_marlin_on_cuda(const Context& context, const MarlinBatch& batch,
                           const BatchMemory& memory, void* stream);

}  // namespace mmoe
