// SPDX-License-Identifier: Apache-2.0
// Disks that fail: every system call in turn, interrupted and short calls, a full or read-only
// disk, files that change while they are read, and a process that is killed while it saves. Each
// is a status and never a signal; a name always stands for a whole file.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fault/disk.h"
#include "fault/nightly.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A model, a context without threads, and what its layer computes.
struct World {
    World() : folder("disk"), options(sized<mmoe_context_options>()) {
        write_model(folder, false);
        path = folder.path();
        saved = folder.file("saved.mmoe");
        options.device_kind = MMOE_DEVICE_CPU;
        options.thread_count = 1;
        context = make_context(options);
        checkpoint = open_checkpoint(context.get(), path);
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
        Error error{"world"};
        error.expect_ok(mmoe_bundle_save(bundle.get(), saved.c_str(), &error.value), "save");
        error.expect_ok(call.run(executor.get(), bundle.get(), &error.value), "run");
        want = call.output;
        saved_bytes = bytes_of(saved);
    }

    test::ScratchFolder folder;
    std::string path, saved, saved_bytes;
    mmoe_context_options options;
    Handle<mmoe_context> context;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
    std::vector<float> want;

    [[nodiscard]] bool same_bits(const mmoe_bundle* other) {
        Error error{"same bits"};
        error.expect_ok(call.run(executor.get(), other, &error.value), "run");
        return std::memcmp(call.output.data(), want.data(), want.size() * sizeof(float)) == 0;
    }
    [[nodiscard]] int temporary_files() const {
        int count = 0;
        for (const auto& entry : fs::directory_iterator(path)) {
            if (entry.path().extension() == ".tmp") ++count;
        }
        return count;
    }
};

mmoe_status open_and_load(World& w, Handle<mmoe_bundle>* out, mmoe_error* error) {
    mmoe_checkpoint* checkpoint = nullptr;
    mmoe_bundle* bundle = nullptr;
    mmoe_status status =
        mmoe_checkpoint_open(w.context.get(), w.path.c_str(), nullptr, &checkpoint, error);
    const Handle<mmoe_checkpoint> owned(checkpoint);
    if (status == MMOE_OK && mmoe_checkpoint_layer_count(checkpoint) != 1) fail_msg("no layer");
    if (status == MMOE_OK) {
        status = mmoe_bundle_load(w.context.get(), checkpoint, 0, nullptr, &bundle, error);
    }
    out->reset(bundle);
    return status;
}

mmoe_status save_to_same(World& w, Handle<mmoe_bundle>* /*out*/, mmoe_error* error) {
    return mmoe_bundle_save(w.bundle.get(), w.saved.c_str(), error);
}

mmoe_status open_saved(World& w, Handle<mmoe_bundle>* out, mmoe_error* error) {
    mmoe_bundle* bundle = nullptr;
    const mmoe_status status =
        mmoe_bundle_open(w.context.get(), w.saved.c_str(), nullptr, &bundle, error);
    out->reset(bundle);
    return status;
}

struct Scenario {
    const char* name;
    mmoe_status (*body)(World&, Handle<mmoe_bundle>*, mmoe_error*);
};
constexpr Scenario kScenarios[] = {
    {"open and load", open_and_load}, {"save", save_to_same}, {"open saved", open_saved}};

void expect_whole(World& w, const char* name) {
    if (bytes_of(w.saved) != w.saved_bytes) fail_msg("%s: the saved file changed", name);
    if (w.temporary_files() != 0) fail_msg("%s: a temporary file is left", name);
}

// Fails the n-th call of one scenario for every n; returns their number.
int64_t fail_every_call(World& w, const Scenario& scenario, int error_number, Mode mode) {
    for (int64_t n = 0;; ++n) {
        mmoe_error error = {};
        Handle<mmoe_bundle> bundle;
        const int descriptors = open_descriptors();
        disk.error = error_number;
        disk.calls.arm(n, mode);
        const mmoe_status status = scenario.body(w, &bundle, &error);
        const bool refused = disk.calls.stop();
        disk.mend();
        // What a failed call only makes less sure, such as flushing the directory, may succeed.
        if (status != MMOE_OK &&
            (status / 1000 != MMOE_ERR_IO / 1000 || error.os_errno != error_number)) {
            fail_msg("%s, call %d: expected errno %d, got %d (errno %d): %s", scenario.name,
                     static_cast<int>(n), error_number, status, error.os_errno, error.message);
        }
        if (status == MMOE_OK && bundle != nullptr && !w.same_bits(bundle.get())) {
            fail_msg("%s, call %d: other bits", scenario.name, static_cast<int>(n));
        }
        bundle.reset();
        assert_int_equal(open_descriptors(), descriptors);
        expect_whole(w, scenario.name);
        if (!refused) return n;
    }
}

void every_system_call_may_fail(void** /*state*/) {
    World world;
    int64_t points = 0;
    for (const Scenario& scenario : kScenarios) {
        for (const int error_number : {EIO, ENOSPC, EACCES, EROFS}) {
            for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
                points += fail_every_call(world, scenario, error_number, mode);
            }
        }
    }
    print_message("system calls that failed: %d\n", static_cast<int>(points));
    assert_true(points > 100);
}

// Saying that a disk failed takes memory too, on whichever thread it happens.
void memory_may_run_out_when_a_disk_fails(void** /*state*/) {
    World world;
    world.options.thread_count = 2;
    world.context = make_context(world.options);
    int64_t points = 0;
    for (const Scenario& scenario : kScenarios) {
        mmoe_error error = {};
        Handle<mmoe_bundle> bundle;
        disk.mend();
        assert_int_equal(scenario.body(world, &bundle, &error), MMOE_OK);
        const int64_t calls = disk.call_count.load();
        for (int64_t call = 0; call < calls; ++call) {
            bool refused = true;
            for (int64_t n = 0; refused; ++n, ++points) {
                disk.error = EIO;
                disk.calls.arm(call, Mode::kFromThenOn);
                allocations.arm(n, Mode::kFromThenOn);
                const mmoe_status status = scenario.body(world, &bundle, &error);
                refused = allocations.stop();
                disk.mend();
                const bool known = status == MMOE_OK || status == MMOE_ERR_OUT_OF_MEMORY ||
                                   status / 1000 == MMOE_ERR_IO / 1000;
                if (!known) fail_msg("%s: %d: %s", scenario.name, status, error.message);
            }
        }
    }
    print_message("failing disks without memory: %d\n", static_cast<int>(points));
    assert_true(points > 100);
}

void calls_are_taken_up_again(void** /*state*/) {
    World world;
    for (const Scenario& scenario : kScenarios) {
        for (const int64_t most_bytes : {1, 7, 4095}) {
            mmoe_error error = {};
            Handle<mmoe_bundle> bundle;
            disk.most_bytes = most_bytes;
            disk.interrupts_before_each = 2;
            const mmoe_status status = scenario.body(world, &bundle, &error);
            disk.mend();
            if (status != MMOE_OK) fail_msg("%s: %s", scenario.name, error.message);
            if (bundle != nullptr) assert_true(world.same_bits(bundle.get()));
            expect_whole(world, scenario.name);
        }
    }
}

// The disk is full after every number of calls that write a hundred bytes at most.
void a_full_disk_leaves_the_old_file(void** /*state*/) {
    World world;
    int failures = 0;
    bool refused = true;
    for (int64_t n = 0; refused; ++n) {
        mmoe_error error = {};
        disk.error = ENOSPC;
        disk.writes_only = true;
        disk.most_bytes = 100;
        disk.calls.arm(n, Mode::kFromThenOn);
        const mmoe_status status =
            mmoe_bundle_save(world.bundle.get(), world.saved.c_str(), &error);
        refused = disk.calls.stop();
        disk.mend();
        expect_whole(world, "full");
        if (status == MMOE_OK) continue;
        assert_int_equal(status, MMOE_ERR_IO);
        assert_int_equal(error.os_errno, ENOSPC);
        ++failures;
    }
    print_message("places where the disk was full: %d\n", failures);
    assert_true(failures > 100);
}

// ---- Files that change while they are read ----

void write_bytes(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

void shrink(const std::string& path, const std::string& bytes) {
    fs::resize_file(path, bytes.size() / 3);
}
void empty(const std::string& path, const std::string& /*bytes*/) {
    fs::resize_file(path, 0);
}
void grow(const std::string& path, const std::string& bytes) {
    fs::resize_file(path, bytes.size() + 8192);
}
void replace(const std::string& path, const std::string& /*bytes*/) {
    write_bytes(path + ".new", "another file");
    fs::rename(path + ".new", path);
}
void remove_it(const std::string& path, const std::string& /*bytes*/) {
    fs::remove(path);
}
void overwrite(const std::string& path, const std::string& bytes) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    const std::string other(bytes.size(), '\x55');
    file.write(other.data(), static_cast<std::streamsize>(other.size()));
}

struct Change {
    const char* name;
    void (*apply)(const std::string& path, const std::string& bytes);
};
constexpr Change kChanges[] = {{"shrink", shrink},    {"empty", empty},
                               {"grow", grow},        {"replace", replace},
                               {"remove", remove_it}, {"overwrite", overwrite}};

// Before every call of the scenario in turn; any status of files or data will do.
int64_t change_at_every_call(World& w, const Scenario& scenario, const Change& change,
                             const std::string& file) {
    const std::string bytes = bytes_of(file);
    for (int64_t n = 0;; ++n) {
        mmoe_error error = {};
        Handle<mmoe_bundle> bundle;
        bool changed = false;
        disk.on_call = [&](int64_t number) {
            if (number != n) return;
            changed = true;
            change.apply(file, bytes);
        };
        const mmoe_status status = scenario.body(w, &bundle, &error);
        disk.mend();
        const bool known = status == MMOE_OK || status / 1000 == 3 || status / 1000 == 4;
        if (!known) fail_msg("%s, %s: %d: %s", scenario.name, change.name, status, error.message);
        if (status == MMOE_OK && !changed) assert_true(w.same_bits(bundle.get()));
        write_bytes(file, bytes);
        if (!changed) return n;
    }
}

void files_may_change_while_they_are_read(void** /*state*/) {
    World world;
    int64_t points = 0;
    for (const Change& change : kChanges) {
        points += change_at_every_call(world, kScenarios[0], change,
                                       world.folder.file("model-2.safetensors"));
        points +=
            change_at_every_call(world, kScenarios[0], change, world.folder.file("config.json"));
        points += change_at_every_call(world, kScenarios[2], change, world.saved);
    }
    print_message("changes while a file was read: %d, no signal\n", static_cast<int>(points));
    assert_true(points > 100);
}

// ---- Killed while saving ----

// The child saves over the file and dies before its n-th system call.
void save_and_die(World& w, int64_t n) {
    const pid_t child = ::fork();
    assert_true(child >= 0);
    if (child == 0) {
        disk.mend();
        disk.most_bytes = 1000;
        disk.on_call = [n](int64_t number) {
            if (number == n) ::kill(::getpid(), SIGKILL);
        };
        ::_exit(mmoe_bundle_save(w.bundle.get(), w.saved.c_str(), nullptr) == MMOE_OK ? 0 : 1);
    }
    int state = 0;
    assert_int_equal(::waitpid(child, &state, 0), child);
    if (WIFEXITED(state)) assert_int_equal(WEXITSTATUS(state), 0);
}

void a_killed_save_leaves_one_whole_file(void** /*state*/) {
    World world;
    ExpertMemory other(5);
    const std::string before = world.saved_bytes;
    Error error{"put"};
    error.expect_ok(mmoe_bundle_put(world.bundle.get(), 0, other.tensors.data(),
                                    static_cast<uint32_t>(other.tensors.size()), &error.value),
                    "put");
    const std::string now_path = world.folder.file("now.mmoe");
    error.expect_ok(mmoe_bundle_save(world.bundle.get(), now_path.c_str(), &error.value), "save");
    const std::string after = bytes_of(now_path);
    assert_true(before != after);
    int64_t kills = 0;
    for (bool done = false; !done; ++kills) {
        write_bytes(world.saved, before);
        save_and_die(world, kills);
        const std::string left = bytes_of(world.saved);
        if (left != before && left != after)
            fail_msg("call %d: a torn file", static_cast<int>(kills));
        done = world.temporary_files() == 0 && left == after;
        for (const auto& entry : fs::directory_iterator(world.path)) {
            if (entry.path().extension() == ".tmp") fs::remove(entry.path());
        }
    }
    print_message("saves killed: %d, every file whole\n", static_cast<int>(kills));
    assert_true(kills > 15);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_system_call_may_fail),
        cmocka_unit_test(memory_may_run_out_when_a_disk_fails),
        cmocka_unit_test(calls_are_taken_up_again),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(files_may_change_while_they_are_read),
        cmocka_unit_test(a_killed_save_leaves_one_whole_file),
    };
    return cmocka_run_group_tests_name("fault_disk", tests, nullptr, nullptr);
}
