// SPDX-License-Identifier: Apache-2.0
// exec/router.h on a CUDA device: the same experts, the same weights.
#pragma once

#include "base/status.h"
#include "device/context.h"
#include "exec/router.h"

namespace mmoe {

// Enqueues and returns; pointers are device memory. `stream`: a cudaStream_t, or null.
Status route_on_cuda(const Context& context, const RouterArgs& args, void* stream);

}  // namespace mmoe
