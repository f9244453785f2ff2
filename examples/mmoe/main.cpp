// SPDX-License-Identifier: Apache-2.0
// `mmoe`: look at checkpoints, check and time the library, on its public interface alone.
#include <cstdio>
#include <cstring>
#include <exception>

#include "api.h"
#include "commands.h"
#include "options.h"

using namespace mmoe_tool;

namespace {

struct Command {
    const char* name;
    const char* summary;
    int (*run)(int argc, char** argv);
};

constexpr Command kCommands[] = {
    {"info", "version, build and devices", run_info},
    {"inspect", "layers of a checkpoint, and what of them is supported", run_inspect},
    {"plan", "memory that a checkpoint's layers will take", run_plan},
    {"run", "send random tokens through a layer", run_layer},
    {"verify", "compare results with a reference or with plain double arithmetic", run_verify},
    {"convert", "repack a layer once and keep it in a file", run_convert},
    {"bench", "time a layer of random weights", run_bench},
};

void print_usage(FILE* stream) {
    std::fprintf(stream, "usage: mmoe COMMAND [arguments]\n\ncommands:\n");
    for (const Command& command : kCommands) {
        std::fprintf(stream, "  %-9s %s\n", command.name, command.summary);
    }
    std::fprintf(stream,
                 "\n`mmoe COMMAND --help` says more. Exit status: %d success, %d a check failed, "
                 "%d wrong usage,\n%d the library refused; the reason is on stderr.\n",
                 kExitOk, kExitCheckFailed, kExitUsage, kExitRefused);
}

int run_command(const Command& command, int argc, char** argv) {
    try {
        return command.run(argc, argv);
    } catch (const HelpShown&) {
        return kExitOk;
    } catch (const UsageError& error) {
        std::fprintf(stderr, "mmoe %s: %s\n", command.name, error.what());
        return kExitUsage;
    } catch (const Refused& error) {
        std::fprintf(stderr, "mmoe %s: %s\n", command.name, error.what());
        return kExitRefused;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "mmoe %s: %s\n", command.name, error.what());
        return kExitCheckFailed;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        print_usage(stderr);
        return kExitUsage;
    }
    if (std::strcmp(argv[1], "--help") == 0) {
        print_usage(stdout);
        return kExitOk;
    }
    if (std::strcmp(argv[1], "--version") == 0) {
        std::printf("mmoe %s\n", mmoe_version_string());
        return kExitOk;
    }
    for (const Command& command : kCommands) {
        if (std::strcmp(argv[1], command.name) == 0) {
            return run_command(command, argc - 1, argv + 1);
        }
    }
    std::fprintf(stderr, "mmoe: unknown command '%s'; see mmoe --help\n", argv[1]);
    return kExitUsage;
}
