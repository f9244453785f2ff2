// SPDX-License-Identifier: Apache-2.0
// Registers, spills and shared memory of every row, as the device's driver knows them, against the
// checked-in table resources.csv: a change there is seen and wanted, or it is a defect.
//
//     cuda_resources [TABLE]           compares
//     cuda_resources --print           prints what the table should say
//
// The table's columns: toolkit, compute capability, row, which of its kernels, registers of a
// thread, local bytes of a thread (spills and stack), static and dynamic shared bytes of a block,
// threads of a block.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <set>
#include <string>
#include <vector>

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

std::string line_of(const cuda::Row& row, const char* kind, const void* kernel) {
    cudaFuncAttributes attributes = {};
    const cudaError_t status = cudaFuncGetAttributes(&attributes, kernel);
    if (status != cudaSuccess) fail_msg("%s: %s", row.name, cudaGetErrorString(status));
    char text[256];
    std::snprintf(text, sizeof text, "%s,%s,%d,%zu,%zu,%d,%d", row.name, kind, attributes.numRegs,
                  attributes.localSizeBytes, attributes.sharedSizeBytes, row.shared_bytes,
                  row.threads);
    return prefix() + text;
}

// Of every kernel that the device has code for.
std::vector<std::string> built_lines() {
    cudaDeviceProp properties = {};
    cudaGetDeviceProperties(&properties, 0);
    const int capability = 10 * properties.major + properties.minor;
    std::vector<std::string> lines;
    for (const cuda::Row& row : cuda::rows()) {
        if (capability < row.first_capability || capability > row.last_capability) continue;
        if (row.layer_kernel != nullptr) {
            lines.push_back(line_of(row, "layer", reinterpret_cast<const void*>(row.layer_kernel)));
            continue;
        }
        lines.push_back(line_of(row, "gemm", reinterpret_cast<const void*>(row.kernel)));
        if (row.gated_kernel == row.kernel) continue;
        lines.push_back(line_of(row, "gated", reinterpret_cast<const void*>(row.gated_kernel)));
    }
    return lines;
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
    const std::vector<std::string> lines = built_lines();
    const std::set<std::string> built(lines.begin(), lines.end());
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
        for (const std::string& line : built_lines()) std::printf("%s\n", line.c_str());
        return 0;
    }
    if (argc > 1) table_path = argv[1];
    const CMUnitTest tests[] = {cmocka_unit_test(rows_use_what_the_table_says)};
    return cmocka_run_group_tests_name("cuda_resources", tests, nullptr, nullptr);
}
