// SPDX-License-Identifier: Apache-2.0
// What every command shares: how it registers, what it may end with, and how it answers.
//
// A command adds itself to the parser and later fills a Report: lines for people, one object for
// programs. main() prints the one that was asked for, so that no command knows of --json.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "text.h"

namespace tool {

using Json = nlohmann::ordered_json;

enum ExitCode {
    kExitOk = 0,
    kExitCheckFailed = 1,
    kExitUsage = 2,
    kExitRefused = 3,
};

// The answer of one command. Lines appear at once; the object is printed at the end.
class Report {
  public:
    explicit Report(bool as_json) : as_json_(as_json) {}
    void line(const std::string& text);
    [[nodiscard]] bool as_json() const { return as_json_; }
    Json json;

  private:
    bool as_json_;
};

// Runs after parsing; the result is the exit status.
using Action = std::function<ExitCode(Report&)>;

// Each adds one subcommand and returns what it does; the parsed options live in the action.
Action add_info(CLI::App& command);
Action add_inspect(CLI::App& command);
Action add_verify(CLI::App& command);

}  // namespace tool
