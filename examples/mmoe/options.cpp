// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <getopt.h>

#include <cstdio>
#include <cstdlib>

namespace mmoe_tool {
namespace {

constexpr int kFirstOption = 256;  // getopt's answers below are characters
constexpr int kHelp = 'h';

void print_help(const CommandLine& line) {
    std::printf("usage: mmoe %s", line.name);
    for (const char* positional : line.positionals) std::printf(" %s", positional);
    std::printf(" [options]\n\n%s\n\noptions:\n", line.summary);
    for (const Option& option : line.options) {
        std::string left = std::string("--") + option.name;
        if (option.value != nullptr) left += std::string(" ") + option.value;
        std::printf("  %-26s %s\n", left.c_str(), option.help);
    }
    std::printf("  %-26s %s\n", "--help", "show this text");
}

std::vector<struct option> getopt_table(const CommandLine& line) {
    std::vector<struct option> table;
    for (size_t i = 0; i < line.options.size(); ++i) {
        const Option& option = line.options[i];
        table.push_back({option.name, option.value == nullptr ? no_argument : required_argument,
                         nullptr, kFirstOption + static_cast<int>(i)});
    }
    table.push_back({"help", no_argument, nullptr, kHelp});
    table.push_back({});
    return table;
}

}  // namespace

int64_t parse_number(const std::string& text, int64_t least, int64_t most) {
    size_t used = 0;
    int64_t number = 0;
    try {
        number = std::stoll(text, &used);
    } catch (const std::exception&) {
        used = 0;
    }
    if (used == 0 || used != text.size() || number < least || number > most) {
        throw UsageError("expected a number from " + std::to_string(least) + " to " +
                         std::to_string(most) + ", got '" + text + "'");
    }
    return number;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    size_t begin = 0;
    for (size_t end = 0; end != std::string::npos; begin = end + 1) {
        end = text.find(separator, begin);
        parts.push_back(text.substr(begin, end - begin));
    }
    return parts;
}

std::function<void(const std::string&)> into(std::string* variable) {
    return [variable](const std::string& text) { *variable = text; };
}

std::function<void(const std::string&)> into(bool* variable) {
    return [variable](const std::string&) { *variable = true; };
}

std::function<void(const std::string&)> into(int64_t* variable, int64_t least, int64_t most) {
    return [=](const std::string& text) { *variable = parse_number(text, least, most); };
}

std::function<void(const std::string&)> into(double* variable, double least, double most) {
    return [=](const std::string& text) {
        char* end = nullptr;
        *variable = std::strtod(text.c_str(), &end);
        if (text.empty() || *end != '\0' || !(*variable >= least && *variable <= most)) {
            throw UsageError("expected a number from " + std::to_string(least) + " to " +
                             std::to_string(most) + ", got '" + text + "'");
        }
    };
}

std::function<void(const std::string&)> into(std::vector<int64_t>* variable, int64_t least,
                                             int64_t most) {
    return [=](const std::string& text) {
        variable->clear();
        for (const std::string& part : split(text, ',')) {
            variable->push_back(parse_number(part, least, most));
        }
    };
}

std::vector<std::string> parse(const CommandLine& line, int argc, char** argv) {
    const std::vector<struct option> table = getopt_table(line);
    const std::string hint = std::string("; see mmoe ") + line.name + " --help";
    opterr = 0;
    for (int found = 0; (found = getopt_long(argc, argv, ":h", table.data(), nullptr)) != -1;) {
        if (found == kHelp) {
            print_help(line);
            throw HelpShown{};
        }
        if (found == '?' || found == ':') {
            throw UsageError(std::string(found == '?' ? "unknown option " : "no value for ") +
                             argv[optind - 1] + hint);
        }
        const Option& option = line.options[static_cast<size_t>(found - kFirstOption)];
        try {
            option.set(optarg == nullptr ? "" : optarg);
        } catch (const UsageError& error) {
            throw UsageError(std::string("--") + option.name + ": " + error.what() + hint);
        }
    }
    std::vector<std::string> positionals(argv + optind, argv + argc);
    if (positionals.size() != line.positionals.size()) {
        throw UsageError("expected " + std::to_string(line.positionals.size()) +
                         " arguments, got " + std::to_string(positionals.size()) + hint);
    }
    return positionals;
}

}  // namespace mmoe_tool
