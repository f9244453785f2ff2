// SPDX-License-Identifier: Apache-2.0
// Canonical form to the tensors of a projection as a quantiser writes them: what unpack/unpack.h
// reads, written. Strips start on a multiple of 64 rows, so that no two write the same word;
// different strips may be written from several threads. `first_row` is the strip's first output.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "checkpoint/quant_config.h"
#include "unpack/canonical.h"

namespace mmoe {

// One projection of a compressed-tensors, GPTQ or AWQ file.
struct FileShape {
    QuantConfig config;
    int64_t outputs = 0;  // N
    int64_t inputs = 0;   // K
};

// `weight`: the whole tensor, as expected_tensor() says. Columns go back to where strip.order says
// that they come from.
void write_codes(const FileShape& shape, const Canonical& strip, int64_t first_row,
                 uint32_t* weight);

// `scale`: the whole tensor, of strip.scale_type.
void write_scales(const FileShape& shape, const Canonical& strip, int64_t first_row,
                  uint8_t* scale);

// `zero_point`: the whole tensor. Refuses what the config's form of zero points cannot hold: 0,
// where one was subtracted field by field.
Status write_zero_points(const FileShape& shape, const Canonical& strip, int64_t first_row,
                         void* zero_point);

}  // namespace mmoe
