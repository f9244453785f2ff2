// SPDX-License-Identifier: Apache-2.0
// What the operating system refused, as a status.
#pragma once

#include "base/status.h"

namespace mmoe {

// "thing: cannot verb: No such file or directory", with the errno; kNotFound where something on the
// way is missing, else kIo.
Status refused_by_system(const char* thing, const char* verb, int error);

}  // namespace mmoe
