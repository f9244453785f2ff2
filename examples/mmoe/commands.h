// SPDX-License-Identifier: Apache-2.0
// The commands of `mmoe`. Each takes its own arguments (argv[0] is its name), prints to stdout,
// and returns an exit status; UsageError and Refused become statuses in main.cpp.
#pragma once

namespace mmoe_tool {

enum Exit {
    kExitOk = 0,
    kExitCheckFailed = 1,  // a comparison failed, or a file to compare with cannot serve
    kExitUsage = 2,        // the command line is wrong
    kExitRefused = 3,      // the library refused; its sentence is on stderr
};

int run_info(int argc, char** argv);
int run_inspect(int argc, char** argv);
int run_plan(int argc, char** argv);
int run_layer(int argc, char** argv);
int run_verify(int argc, char** argv);
int run_convert(int argc, char** argv);
int run_bench(int argc, char** argv);

}  // namespace mmoe_tool
