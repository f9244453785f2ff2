// SPDX-License-Identifier: Apache-2.0
// The mmoe tool: looks at quantised MoE checkpoints and runs their layers through the public
// interface alone. Parses, runs one command, prints its report, and turns every end into one of
// four exit codes: 0 fine, 1 a check failed, 2 usage, 3 the library refused.
#include <cstdio>
#include <exception>
#include <vector>

#include "command.h"
#include "library.h"

namespace tool {

void Report::line(const std::string& text) {
    if (as_json_) return;
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
}

namespace {

struct Command {
    const char* name;
    const char* summary;
    Action (*add)(CLI::App& command);
};

constexpr Command kCommands[] = {
    {"info", "say how the library was built and which devices there are", &add_info},
    {"inspect", "describe the MoE layers of a checkpoint", &add_inspect},
    {"verify", "run layers and compare with expected outputs", &add_verify},
};

void print_json(const Json& json) {
    std::printf("%s\n", json.dump(2).c_str());
}

// One sentence on stderr and, for programs, the same as an object on stdout.
ExitCode report_failure(const Report& report, ExitCode code, const char* name,
                        const char* message) {
    std::fprintf(stderr, "mmoe: %s: %s\n", name, message);
    if (report.as_json()) print_json({{"error", {{"name", name}, {"message", message}}}});
    return code;
}

ExitCode run(const Action& action, Report& report) {
    try {
        const ExitCode code = action(report);
        if (report.as_json()) print_json(report.json);
        return code;
    } catch (const UsageError& error) {
        return report_failure(report, kExitUsage, "usage", error.what());
    } catch (const Refusal& error) {
        return report_failure(report, kExitRefused, mmoe_status_name(error.status()), error.what());
    } catch (const std::exception& error) {
        return report_failure(report, kExitRefused, "failure", error.what());
    }
}

}  // namespace
}  // namespace tool

int main(int argument_count, char** arguments) {
    using namespace tool;
    CLI::App app("Looks at quantised mixture-of-experts checkpoints and runs their layers.",
                 "mmoe");
    app.require_subcommand(1);
    app.set_version_flag("--version", mmoe_version_string());
    app.footer("Exit codes: 0 fine, 1 a check failed, 2 usage, 3 the library refused.");
    bool as_json = false;
    std::vector<std::pair<CLI::App*, Action>> commands;
    for (const Command& entry : kCommands) {
        CLI::App* command = app.add_subcommand(entry.name, entry.summary);
        command->add_flag("--json", as_json, "answer with one JSON object");
        commands.emplace_back(command, entry.add(*command));
    }
    try {
        app.parse(argument_count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitOk : kExitUsage;
    }
    Report report(as_json);
    for (const auto& [command, action] : commands) {
        if (command->parsed()) return run(action, report);
    }
    return kExitUsage;
}
