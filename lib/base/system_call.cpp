// SPDX-License-Identifier: Apache-2.0
#include "base/system_call.h"

#include <cerrno>
#include <system_error>

namespace mmoe {

Status refused_by_system(const char* thing, const char* verb, int error) {
    const bool missing = error == ENOENT || error == ENOTDIR;
    return Status::error(missing ? Code::kNotFound : Code::kIo, "%s: cannot %s: %s", thing, verb,
                         std::generic_category().message(error).c_str())
        .with_errno(error);
}

}  // namespace mmoe
