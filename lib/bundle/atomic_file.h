// SPDX-License-Identifier: Apache-2.0
// A file that appears under its name whole or not at all: written beside it, flushed, renamed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/status.h"

namespace mmoe {

class AtomicFile {
  public:
    // Makes a temporary file in the directory of `path`, which may exist and is then replaced.
    static Result<AtomicFile> create(const std::string& path);

    AtomicFile(AtomicFile&& other) noexcept;
    AtomicFile& operator=(AtomicFile&& other) noexcept;
    ~AtomicFile();  // without commit() the temporary file goes

    Status write(std::span<const uint8_t> bytes);  // appends
    // Flushes to the device, then takes the name.
    Status commit();

  private:
    explicit AtomicFile(std::string path) noexcept : path_(std::move(path)) {}
    Status create_temporary();

    int descriptor_ = -1;
    bool exists_ = false;  // the temporary file
    std::string temporary_;
    std::string path_;
    uint64_t written_bytes_ = 0;
};

}  // namespace mmoe
