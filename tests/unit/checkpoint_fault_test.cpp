// SPDX-License-Identifier: Apache-2.0
// Room checkpoint: a system that interrupts, reads in crumbs, fails, or has no memory left. The
// linker puts this file's pread before the system's (--wrap), and operator new is replaced.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "cmocka_cpp.h"
#include "support/small_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

// ---- pread ----

struct Disk {
    size_t most_bytes = SIZE_MAX;  // of one call
    int interrupts_before_each = 0;
    int fail_with = 0;          // errno; 0: works
    uint64_t end = UINT64_MAX;  // where files seem to end
    int interrupts_left = 0;
};
Disk disk;

// ---- operator new ----

constexpr long kNoLimit = -1;
long allocations_left = kNoLimit;

void* allocate(size_t size_bytes) {
    if (allocations_left == 0) throw std::bad_alloc();
    if (allocations_left > 0) --allocations_left;
    if (void* memory = std::malloc(std::max<size_t>(size_bytes, 1))) return memory;
    throw std::bad_alloc();
}

}  // namespace

extern "C" {
ssize_t __real_pread(int descriptor, void* data, size_t size_bytes, off_t offset);
ssize_t __wrap_pread(int descriptor, void* data, size_t size_bytes, off_t offset);
ssize_t __wrap_pread(int descriptor, void* data, size_t size_bytes, off_t offset) {
    if (disk.interrupts_left-- > 0) {
        errno = EINTR;
        return -1;
    }
    disk.interrupts_left = disk.interrupts_before_each;
    if (disk.fail_with != 0) {
        errno = disk.fail_with;
        return -1;
    }
    if (static_cast<uint64_t>(offset) >= disk.end) return 0;
    return __real_pread(descriptor, data, std::min(size_bytes, disk.most_bytes), offset);
}
}

void* operator new(size_t size_bytes) {
    return allocate(size_bytes);
}
void* operator new(size_t size_bytes, const std::nothrow_t&) noexcept {
    try {
        return allocate(size_bytes);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace {

void write_model(const ScratchFolder& folder) {
    folder.write("model.safetensors", safetensors_of(packed_model()));
    folder.write("config.json", "{" + kAsymmetric4 + "}");
}

void reads_are_taken_up_again(void**) {
    const ScratchFolder folder("checkpoint_crumbs");
    write_model(folder);
    disk = {.most_bytes = 7, .interrupts_before_each = 2};
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    disk = {};
    assert_true(opened.ok());
    assert_int_equal(opened.value()->layers().size(), 1);
    assert_true(opened.value()->layers()[0].problem.ok());
}

void a_disk_that_fails_is_named(void**) {
    const ScratchFolder folder("checkpoint_io");
    write_model(folder);
    disk = {.fail_with = EIO};
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    disk = {};
    assert_int_equal(opened.status().code(), Code::kIo);
    assert_int_equal(opened.status().os_errno(), EIO);
    assert_int_equal(opened.status().file_offset(), 0);
    assert_non_null(std::strstr(opened.status().message(), "model.safetensors: cannot read: "));
}

void a_file_that_ends_early_has_changed(void**) {
    const ScratchFolder folder("checkpoint_early_end");
    write_model(folder);
    disk = {.end = 8};
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    disk = {};
    assert_int_equal(opened.status().code(), Code::kFileChanged);
    assert_int_equal(opened.status().file_offset(), 8);
}

// Every allocation of an open fails once. Nothing is lost (the sanitizer build looks), and the
// open after it works.
void every_allocation_may_fail(void**) {
    const ScratchFolder folder("checkpoint_no_memory");
    write_model(folder);
    const std::string path = folder.path();
    const CheckpointOptions options;
    long failures = 0;
    for (bool opened = false; !opened; ++failures) {
        allocations_left = failures;
        try {
            opened = Checkpoint::open(path, options, Log()).ok();
        } catch (const std::bad_alloc&) {
            opened = false;
        }
        allocations_left = kNoLimit;
        assert_true(failures < 100000);
    }
    assert_true(failures > 100);
    assert_true(Checkpoint::open(path, options, Log()).ok());
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(reads_are_taken_up_again),
        cmocka_unit_test(a_disk_that_fails_is_named),
        cmocka_unit_test(a_file_that_ends_early_has_changed),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
