// SPDX-License-Identifier: Apache-2.0
// A bar on stderr for work that takes a while; silent where stderr is no terminal.
#pragma once

#include <cstdint>
#include <string>

#include "api.h"

namespace mmoe_tool {

class Progress {
  public:
    explicit Progress(std::string what);
    ~Progress();  // removes the bar
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(uint64_t done, uint64_t total);

    // Options that let a load report here; they refer to this object.
    mmoe_bundle_options bundle_options();

  private:
    std::string what_;
    bool terminal_;
    int shown_percent_ = -1;
};

}  // namespace mmoe_tool
