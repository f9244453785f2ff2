// SPDX-License-Identifier: Apache-2.0
// The CPU as a device: its name from cpuid, its memory from the operating system.
#include <algorithm>
#include <cstring>

#include "base/parallel.h"
#include "device/context.h"

#if defined(__x86_64__)
    #include <cpuid.h>
#endif
#if defined(_WIN32)
    #include <windows.h>
#else
    #include <unistd.h>
#endif

namespace mmoe {
namespace {

void copy_name(char (&name)[104]) noexcept {
#if defined(__x86_64__)
    uint32_t words[12] = {};
    uint32_t highest = 0;
    uint32_t unused = 0;
    if (__get_cpuid(0x80000000, &highest, &unused, &unused, &unused) != 0 &&
        highest >= 0x80000004) {
        for (uint32_t leaf = 0; leaf < 3; ++leaf) {
            uint32_t* out = words + 4 * leaf;
            __get_cpuid(0x80000002 + leaf, out, out + 1, out + 2, out + 3);
        }
        char brand[sizeof words + 1] = {};
        std::memcpy(brand, words, sizeof words);
        const char* start = brand;
        while (*start == ' ') ++start;
        std::strncpy(name, start, sizeof name - 1);
        return;
    }
#endif
    std::strncpy(name, "CPU", sizeof name - 1);
}

}  // namespace

CpuDescription describe_cpu() noexcept {
    CpuDescription cpu;
    copy_name(cpu.name);
    cpu.thread_count = static_cast<int32_t>(usable_hardware_threads());
#if defined(_WIN32)
    MEMORYSTATUSEX memory = {};
    memory.dwLength = sizeof memory;
    if (GlobalMemoryStatusEx(&memory) != 0) {
        cpu.memory_bytes = memory.ullTotalPhys;
        cpu.memory_free_bytes = memory.ullAvailPhys;
    }
#else
    const auto page_bytes = static_cast<uint64_t>(std::max(0L, sysconf(_SC_PAGESIZE)));
    cpu.memory_bytes = page_bytes * static_cast<uint64_t>(std::max(0L, sysconf(_SC_PHYS_PAGES)));
    cpu.memory_free_bytes =
        page_bytes * static_cast<uint64_t>(std::max(0L, sysconf(_SC_AVPHYS_PAGES)));
#endif
    return cpu;
}

}  // namespace mmoe
