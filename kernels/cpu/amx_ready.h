// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mmoe::cpu {

enum class AmxKernel { kBf16Int4, kInt16Int4, kInt16Int8 };

// Null if rows with this kernel may run in this process, else why not. The first call asks the
// system for tile registers and tries every kernel on a small block beside one without tiles;
// usable(Tier::kAmxBf16) must hold. Any thread.
const char* amx_refusal(AmxKernel kernel);

}  // namespace mmoe::cpu
