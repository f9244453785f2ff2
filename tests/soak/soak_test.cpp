// SPDX-License-Identifier: Apache-2.0
// Everything an engine does with the library, over and over: loads, runs, changes, saves, opens,
// routes, cancels and ends objects. Memory, descriptors, threads and bits must not drift.
// MMOE_SOAK_SECONDS says how long; a few seconds otherwise.
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "fault/fault_point.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;
using Clock = std::chrono::steady_clock;

namespace {

constexpr double kDefaultSeconds = 3;
constexpr double kWarmUpPart = 0.1;          // of the whole time
constexpr int64_t kMaxDriftBytes = 1 << 20;  // of resident memory: pages that malloc keeps
constexpr int kRunsARound = 200;

struct Held {
    int64_t resident_bytes = 0;
    int64_t blocks = 0;
    int descriptors = 0;
    int threads = 0;
};

int threads_now() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
        (void)entry;
        ++count;
    }
    return count;
}

Held held_now() {
    malloc_trim(0);
    Held held;
    {
        std::ifstream statm("/proc/self/statm");
        int64_t pages = 0;
        statm >> pages >> held.resident_bytes;
        held.resident_bytes *= ::sysconf(_SC_PAGESIZE);
    }
    held.descriptors = open_descriptors();
    held.threads = threads_now();
    held.blocks = live_blocks();
    return held;
}

// The objects of a long-lived engine; each round makes and ends its own beside them.
struct World {
    World() : folder("soak"), other(7) {
        write_model(folder, false);
        path = folder.path();
        saved = folder.file("saved.mmoe");
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CPU;
        options.thread_count = 2;
        context = make_context(options);
        checkpoint = open_checkpoint(context.get(), path);
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
        run(bundle.get());
        want = call.output;
    }

    test::ScratchFolder folder;
    std::string path, saved;
    ExpertMemory other;
    Handle<mmoe_context> context;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
    std::vector<float> want;
    int64_t runs = 0;

    void must(mmoe_status status, const mmoe_error& error) {
        if (status != MMOE_OK) fail_msg("run %d: %s", static_cast<int>(runs), error.message);
    }
    void run(const mmoe_bundle* weights) {
        mmoe_error error = {};
        must(call.run(executor.get(), weights, &error), error);
        ++runs;
    }
    void run_with_same_bits(const mmoe_bundle* weights) {
        run(weights);
        if (std::memcmp(call.output.data(), want.data(), want.size() * sizeof(float)) != 0) {
            fail_msg("run %d: other bits", static_cast<int>(runs));
        }
    }
};

void change_an_expert_and_back(World& w) {
    mmoe_error error = {};
    w.must(mmoe_bundle_put(w.bundle.get(), 1, w.other.tensors.data(),
                           static_cast<uint32_t>(w.other.tensors.size()), &error),
           error);
    w.run(w.bundle.get());
    w.must(mmoe_bundle_put_from(w.bundle.get(), w.checkpoint.get(), 0, 1, &error), error);
}

void save_and_open(World& w) {
    mmoe_error error = {};
    mmoe_bundle* bundle = nullptr;
    w.must(mmoe_bundle_save(w.bundle.get(), w.saved.c_str(), &error), error);
    w.must(mmoe_bundle_open(w.context.get(), w.saved.c_str(), nullptr, &bundle, &error), error);
    const Handle<mmoe_bundle> owned(bundle);
    w.run_with_same_bits(bundle);
}

void start_and_cancel_a_load(World& w) {
    mmoe_error error = {};
    mmoe_load* load = nullptr;
    w.must(mmoe_load_start(w.context.get(), w.checkpoint.get(), 0, nullptr, &load, &error), error);
    mmoe_load_cancel(load);
    mmoe_load_destroy(load);
}

void a_whole_life(World& w) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = 3;
    const auto context = make_context(options);
    const auto checkpoint = open_checkpoint(context.get(), w.path);
    const auto bundle = load_bundle(context.get(), checkpoint.get());
    const auto executor = make_executor(context.get(), bundle.get());
    mmoe_error error = {};
    w.must(w.call.run(executor.get(), bundle.get(), &error), error);
}

void meet_a_failure(World& w) {
    mmoe_error error = {};
    mmoe_bundle* bundle = nullptr;
    const std::string nowhere = w.folder.file("nowhere");
    if (mmoe_bundle_open(w.context.get(), nowhere.c_str(), nullptr, &bundle, &error) !=
        MMOE_ERR_NOT_FOUND) {
        fail_msg("%s", error.message);
    }
}

void one_round(World& w) {
    change_an_expert_and_back(w);
    save_and_open(w);
    start_and_cancel_a_load(w);
    a_whole_life(w);
    meet_a_failure(w);
    for (int i = 0; i < kRunsARound; ++i) w.run_with_same_bits(w.bundle.get());
}

double soak_seconds() {
    const char* text = std::getenv("MMOE_SOAK_SECONDS");
    return text == nullptr ? kDefaultSeconds : std::atof(text);
}

void nothing_drifts(void** /*state*/) {
    World world;
    const double seconds = soak_seconds();
    const Clock::time_point begin = Clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    int64_t rounds = 0;
    for (; rounds < 3 || elapsed() < kWarmUpPart * seconds; ++rounds) one_round(world);
    const Held before = held_now();
    for (; elapsed() < seconds; ++rounds) one_round(world);
    const Held after = held_now();
    print_message(
        "soak: %.0f s, %lld rounds, %lld runs; resident memory %+lld bytes, blocks "
        "%+lld, descriptors %+d, threads %+d, every bit as in the first run\n",
        elapsed(), static_cast<long long>(rounds), static_cast<long long>(world.runs),
        static_cast<long long>(after.resident_bytes - before.resident_bytes),
        static_cast<long long>(after.blocks - before.blocks),
        after.descriptors - before.descriptors, after.threads - before.threads);
    assert_true(after.resident_bytes - before.resident_bytes <= kMaxDriftBytes);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.descriptors, before.descriptors);
    assert_int_equal(after.threads, before.threads);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(nothing_drifts)};
    return cmocka_run_group_tests_name("soak", tests, nullptr, nullptr);
}
