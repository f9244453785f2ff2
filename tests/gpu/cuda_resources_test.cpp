// SPDX-License-Identifier: Apache-2.0
// Registers, spills and shared memory of every row, as the device's driver knows them, against the
// checked-in table resources.csv: a change there is seen and wanted, or it is a defect.
//
//     cuda_resources [TABLE]           compares
//     cuda_resources --print           prints what the table should say
//
// The table's columns: toolkit, compute capability, row, registers of a thread, local bytes of a
// thread (spills and stack), static and dynamic shared bytes of a block, threads of a block.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <string>

#include "cuda/launch.h"
#include "cuda_device.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe;

std::string table_path = MMOE_GPU_RESOURCES;

std::string prefix() {
    cudaDeviceProp properties = {};
    cudaGetDeviceProperties(&properties, 0);
    char text[32];
    std::snprintf(text, sizeof text, "%d.%d,%d.%d,", CUDART_VERSION / 1000,
                  CUDART_VERSION % 1000 / 10, properties.major, properties.minor);
    return text;
}

std::string line_of(const cuda::Row& row) {
    cudaFuncAttributes attributes = {};
    const cudaError_t status =
        cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(row.kernel));
    if (status != cudaSuccess) fail_msg("%s: %s", row.name, cudaGetErrorString(status));
    char text[256];
    std::snprintf(text, sizeof text, "%s,%d,%zu,%zu,%d,%d", row.name, attributes.numRegs,
                  attributes.localSizeBytes, attributes.sharedSizeBytes, row.shared_bytes,
                  row.threads);
    return prefix() + text;
}

// Lines of this toolkit and device.
std::set<std::string> read_table() {
    std::ifstream file(table_path);
    if (!file) fail_msg("%s: cannot be read", table_path.c_str());
    std::set<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(prefix(), 0) == 0) lines.insert(line);
    }
    return lines;
}

void rows_use_what_the_table_says(void** /*state*/) {
    const std::set<std::string> table = read_table();
    if (table.empty()) {
        print_message("the table has no rows of %s: nothing to compare\n", prefix().c_str());
        skip();
    }
    std::set<std::string> built;
    for (const cuda::Row& row : cuda::rows()) built.insert(line_of(row));
    int differences = 0;
    for (const std::string& line : built) {
        if (table.count(line) == 0) print_message("built: %s\n", line.c_str()), ++differences;
    }
    for (const std::string& line : table) {
        if (built.count(line) == 0) print_message("table: %s\n", line.c_str()), ++differences;
    }
    if (differences != 0) fail_msg("%d lines differ", differences);
}

}  // namespace

int main(int argc, char** argv) {
    if (const int skip = test::skip_without_device()) return skip;
    if (argc > 1 && std::strcmp(argv[1], "--print") == 0) {
        for (const cuda::Row& row : cuda::rows()) std::printf("%s\n", line_of(row).c_str());
        return 0;
    }
    if (argc > 1) table_path = argv[1];
    const CMUnitTest tests[] = {cmocka_unit_test(rows_use_what_the_table_says)};
    return cmocka_run_group_tests_name("cuda_resources", tests, nullptr, nullptr);
}
