// SPDX-License-Identifier: Apache-2.0
// How a layer can be divided over tensor-parallel ranks: the library's answer for each number of
// ranks that machines have.
#pragma once

#include <string>

#include "device.h"
#include "layer_view.h"

namespace mmoe_tool {

// One object a number of ranks, 1 to 16: "ranks", "verdict" and, if it works, what the ranks hold;
// else "why_not" and "remedy". Verdicts:
//   legal     equal ranks of whole groups
//   padded    the same, filled up to whole blocks of the device
//   parts     equal ranks; groups that straddle them are cut, their scales repeated
//   uneven    ranks of whole groups that differ by one
//   refused
Json splits_json(const Device& device, const LayerView& view);

// Lines "  ranks  what they hold".
std::string splits_text(const Json& splits);

}  // namespace mmoe_tool
