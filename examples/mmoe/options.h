// SPDX-License-Identifier: Apache-2.0
// Command lines: every command describes itself with a table, from which both parsing
// (getopt_long) and --help are made.
#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace mmoe_tool {

// The command line is wrong; exit status 2.
class UsageError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Option {
    const char* name;   // without the dashes
    const char* value;  // what stands for its value in --help; null: a flag
    const char* help;
    std::function<void(const std::string& text)> set;  // throws UsageError
};

// How a variable takes the text of an option.
std::function<void(const std::string&)> into(std::string* variable);
std::function<void(const std::string&)> into(bool* variable);
std::function<void(const std::string&)> into(int64_t* variable, int64_t least, int64_t most);
std::function<void(const std::string&)> into(double* variable, double least, double most);
std::function<void(const std::string&)> into(std::vector<int64_t>* variable, int64_t least,
                                             int64_t most);  // separated by commas

int64_t parse_number(const std::string& text, int64_t least, int64_t most);
std::vector<std::string> split(const std::string& text, char separator);

struct CommandLine {
    const char* name;                      // of the command
    const char* summary;                   // what it does, and what its exit status says
    std::vector<const char*> positionals;  // all required
    std::vector<Option> options;
};

// parse() met --help and printed it.
struct HelpShown {};

// Sets the options and returns the positional arguments. argv[0] is the command's name. Throws
// UsageError or HelpShown.
std::vector<std::string> parse(const CommandLine& line, int argc, char** argv);

}  // namespace mmoe_tool
