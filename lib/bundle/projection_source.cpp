// SPDX-License-Identifier: Apache-2.0
#include "bundle/projection_source.h"

#include <algorithm>

#include "repack/slice.h"

namespace mmoe {

Result<std::unique_ptr<Unpacker>> MemoryProjection::outputs(int64_t first, int64_t rows,
                                                            CodeForm form) {
    const Layer& layer = spec_.layer;
    TRY(std::unique_ptr<Unpacker> whole,
        Unpacker::create(spec_.config, layer.outputs(projection_), layer.inputs(projection_),
                         tensors_, std::min(max_rows_, rows), allocator_, form));
    return first == 0 ? std::move(whole) : slice_outputs(std::move(whole), first);
}

}  // namespace mmoe
