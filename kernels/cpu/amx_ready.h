// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mmoe::cpu {

// Null if AMX rows may run in this process, else why not. The first call asks the system for tile
// registers and tries the row on a small block beside the portable one; usable(Tier::kAmxBf16)
// must hold. Any thread.
const char* amx_refusal();

}  // namespace mmoe::cpu
