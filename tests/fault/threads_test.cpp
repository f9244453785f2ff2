// SPDX-License-Identifier: Apache-2.0
// Threads and lifetimes: many threads on shared objects, objects destroyed while they are used,
// loads that are cancelled at every step, and a process that forks. Sanitizers watch.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "fault/nightly.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;

namespace {

constexpr int kThreads = 16;

// ---- Memory that is counted ----

std::atomic<int64_t> live_blocks{0};

void* allocate(void* /*user*/, size_t size_bytes, size_t alignment_bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment_bytes, size_bytes) != 0) return nullptr;
    live_blocks.fetch_add(1);
    return memory;
}
void release(void* /*user*/, void* memory, size_t /*size_bytes*/) {
    live_blocks.fetch_sub(1);
    std::free(memory);
}

mmoe_context_options context_options(uint32_t thread_count) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = thread_count;
    options.host_allocator = {nullptr, allocate, release};
    return options;
}

struct World {
    explicit World(uint32_t thread_count) : folder("threads") {
        write_model(folder, false);
        context = make_context(context_options(thread_count));
        checkpoint = open_checkpoint(context.get(), folder.path());
        bundle = load_bundle(context.get(), checkpoint.get());
        executor = make_executor(context.get(), bundle.get());
        Error error{"world"};
        error.expect_ok(call.run(executor.get(), bundle.get(), &error.value), "run");
        want = call.output;
    }

    test::ScratchFolder folder;
    Handle<mmoe_context> context;
    Handle<mmoe_checkpoint> checkpoint;
    Handle<mmoe_bundle> bundle;
    Handle<mmoe_executor> executor;
    Call call;
    std::vector<float> want;

    [[nodiscard]] bool same_bits(const Call& other) const {
        return std::memcmp(other.output.data(), want.data(), want.size() * sizeof(float)) == 0;
    }
};

// ---- Many threads ----

// Threads may not fail a test, so they count.
void create_run_destroy(const World& w, int repeats, std::atomic<int>& wrong) {
    const mmoe_executor_options options = executor_options();
    Call call;
    for (int i = 0; i < repeats; ++i) {
        const mmoe_context_options own = context_options(1 + i % 3);
        mmoe_context* context = nullptr;
        mmoe_bundle* bundle = nullptr;
        mmoe_executor* executor = nullptr;
        bool right = mmoe_context_create(&own, &context, nullptr) == MMOE_OK;
        if (i % 4 == 0) {  // else the shared one
            right = right && mmoe_bundle_load(context, w.checkpoint.get(), 0, nullptr, &bundle,
                                              nullptr) == MMOE_OK;
        }
        const mmoe_bundle* weights = bundle != nullptr ? bundle : w.bundle.get();
        right = right &&
                mmoe_executor_create(context, weights, &options, &executor, nullptr) == MMOE_OK;
        mmoe_context_destroy(context);
        right = right && call.run(executor, weights, nullptr) == MMOE_OK && w.same_bits(call);
        mmoe_bundle_destroy(bundle);
        mmoe_executor_destroy(executor);
        if (!right) wrong.fetch_add(1);
    }
}

void many_threads_share_a_bundle(void** /*state*/) {
    const int repeats = nightly_or(1000, 20);
    const World world(2);
    std::atomic<int> wrong{0};
    const int64_t before = live_blocks.load();
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] { create_run_destroy(world, repeats, wrong); });
    }
    for (std::thread& thread : threads) thread.join();
    assert_int_equal(wrong.load(), 0);
    assert_int_equal(live_blocks.load(), before);
    print_message("%d threads made, ran and destroyed %d times each\n", kThreads, repeats);
}

// One executor serves one thread; the others are told.
void a_shared_executor_serves_one_at_a_time(void** /*state*/) {
    const World world(2);
    std::atomic<int> wrong{0};
    std::atomic<int> served{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            Call call;
            for (int repeat = 0; repeat < nightly_or(1000, 50); ++repeat) {
                const mmoe_status status =
                    call.run(world.executor.get(), world.bundle.get(), nullptr);
                if (status == MMOE_OK && world.same_bits(call))
                    served.fetch_add(1);
                else if (status != MMOE_ERR_BUSY)
                    wrong.fetch_add(1);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    assert_int_equal(wrong.load(), 0);
    assert_true(served.load() > 0);
}

// ---- Destroyed while in use ----

// Gives every handle back from inside the run that uses them.
struct Destroyer {
    mmoe_context* context = nullptr;
    mmoe_bundle* bundle = nullptr;
    mmoe_executor* executor = nullptr;
    bool armed = false;
    int64_t live_inside = 0;
};

void destroy_and_run(void* user, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    auto* destroyer = static_cast<Destroyer*>(user);
    if (std::exchange(destroyer->armed, false)) {
        mmoe_context_destroy(destroyer->context);
        mmoe_bundle_destroy(destroyer->bundle);
        mmoe_executor_destroy(destroyer->executor);
        destroyer->live_inside = live_blocks.load();
    }
    for (uint32_t i = 0; i < task_count; ++i) task(task_data, i);
}

void objects_may_be_destroyed_while_they_run(void** /*state*/) {
    const World world(1);
    const int64_t before = live_blocks.load();
    Destroyer destroyer;
    mmoe_context_options options = context_options(4);
    options.parallel_for = destroy_and_run;
    options.parallel_for_user = &destroyer;
    destroyer.context = make_context(options).release();
    destroyer.bundle = load_bundle(destroyer.context, world.checkpoint.get()).release();
    destroyer.executor = make_executor(destroyer.context, destroyer.bundle).release();
    destroyer.armed = true;
    Call call;
    assert_int_equal(call.run(destroyer.executor, destroyer.bundle, nullptr), MMOE_OK);
    assert_false(destroyer.armed);
    assert_true(destroyer.live_inside > before);   // kept while it ran
    assert_int_equal(live_blocks.load(), before);  // and gone after it
    assert_true(world.same_bits(call));
}

// ---- Loads that are cancelled ----

struct Steps {
    int left = 0;  // until the callback asks to stop
    int taken = 0;
    bool signals_blocked = true;
};

int32_t count_step(void* user, uint64_t /*done_bytes*/, uint64_t /*total_bytes*/) {
    auto* steps = static_cast<Steps*>(user);
    ++steps->taken;
    return steps->left-- == 0 ? 1 : 0;
}

mmoe_bundle_options with_progress(Steps* steps, mmoe_progress_fn progress) {
    auto options = sized<mmoe_bundle_options>();
    options.progress = progress;
    options.progress_user = steps;
    return options;
}

void a_load_may_be_cancelled_at_every_step(void** /*state*/) {
    const World world(2);
    const int64_t before = live_blocks.load();
    int cancelled = 0;
    for (mmoe_status status = MMOE_ERR_CANCELLED; status != MMOE_OK; ++cancelled) {
        Steps steps{.left = cancelled};
        const mmoe_bundle_options options = with_progress(&steps, count_step);
        mmoe_bundle* bundle = nullptr;
        status = mmoe_bundle_load(world.context.get(), world.checkpoint.get(), 0, &options, &bundle,
                                  nullptr);
        if (status != MMOE_OK) assert_int_equal(status, MMOE_ERR_CANCELLED);
        assert_true((bundle != nullptr) == (status == MMOE_OK));
        mmoe_bundle_destroy(bundle);
        assert_int_equal(live_blocks.load(), before);
    }
    assert_true(cancelled > 2);
    print_message("steps of a load cancelled: %d\n", cancelled - 1);
}

void a_background_load_may_be_cancelled_at_every_step(void** /*state*/) {
    const World world(2);
    const int64_t before = live_blocks.load();
    for (const bool wait : {true, false}) {
        for (int step = 0; step < 4; ++step) {
            Steps steps{.left = step};
            const mmoe_bundle_options options = with_progress(&steps, count_step);
            mmoe_load* load = nullptr;
            assert_int_equal(mmoe_load_start(world.context.get(), world.checkpoint.get(), 0,
                                             &options, &load, nullptr),
                             MMOE_OK);
            mmoe_bundle* bundle = nullptr;
            if (wait) (void)mmoe_load_wait(load, &bundle, nullptr);
            if (step % 2 == 0) mmoe_load_cancel(load);
            mmoe_load_destroy(load);
            mmoe_bundle_destroy(bundle);
            assert_int_equal(live_blocks.load(), before);
        }
    }
}

// The host's handlers run on the host's threads.
int32_t look_at_signals(void* user, uint64_t /*done_bytes*/, uint64_t /*total_bytes*/) {
    auto* steps = static_cast<Steps*>(user);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) {
        if (sigismember(&mask, signal) == 0) steps->signals_blocked = false;
    }
    ++steps->taken;
    return 0;
}

void a_loading_thread_takes_no_signals(void** /*state*/) {
    const World world(1);
    Steps steps;
    const mmoe_bundle_options options = with_progress(&steps, look_at_signals);
    mmoe_load* load = nullptr;
    mmoe_bundle* bundle = nullptr;
    assert_int_equal(
        mmoe_load_start(world.context.get(), world.checkpoint.get(), 0, &options, &load, nullptr),
        MMOE_OK);
    assert_int_equal(mmoe_load_wait(load, &bundle, nullptr), MMOE_OK);
    mmoe_bundle_destroy(bundle);
    mmoe_load_destroy(load);
    assert_true(steps.taken > 0);
    assert_true(steps.signals_blocked);
}

// ---- A process that forks ----

// In the child the pool's threads are gone: runs go on alone, and objects can be destroyed.
bool works_in_a_child(World& w) {
    Call call;
    if (call.run(w.executor.get(), w.bundle.get(), nullptr) != MMOE_OK) return false;
    if (!w.same_bits(call)) return false;
    w.executor.reset();
    w.bundle.reset();
    w.checkpoint.reset();
    w.context.reset();
    return true;
}

void a_process_may_fork_after_a_load(void** /*state*/) {
    World world(4);
    for (int repeat = 0; repeat < nightly_or(100, 10); ++repeat) {
        const pid_t child = ::fork();
        assert_true(child >= 0);
        if (child == 0) {
            ::alarm(60);
            ::_exit(works_in_a_child(world) ? 0 : 1);
        }
        int state = 0;
        assert_int_equal(::waitpid(child, &state, 0), child);
        assert_true(WIFEXITED(state));
        assert_int_equal(WEXITSTATUS(state), 0);
        assert_int_equal(world.call.run(world.executor.get(), world.bundle.get(), nullptr),
                         MMOE_OK);
        assert_true(world.same_bits(world.call));
    }
}

// A load that the child did not see through: an answer, and the handle can go.
void a_process_may_fork_during_a_load(void** /*state*/) {
    const World world(2);
    std::atomic<int> gate{0};
    auto options = sized<mmoe_bundle_options>();
    options.progress_user = &gate;
    options.progress = [](void* user, uint64_t, uint64_t) -> int32_t {
        auto* opened = static_cast<std::atomic<int>*>(user);
        while (opened->load() == 0) std::this_thread::yield();
        return 0;
    };
    mmoe_load* load = nullptr;
    mmoe_bundle* bundle = nullptr;
    assert_int_equal(
        mmoe_load_start(world.context.get(), world.checkpoint.get(), 0, &options, &load, nullptr),
        MMOE_OK);
    const pid_t child = ::fork();
    assert_true(child >= 0);
    if (child == 0) {
        ::alarm(60);
        const mmoe_status status = mmoe_load_wait(load, &bundle, nullptr);
        mmoe_load_destroy(load);
        ::_exit(status == MMOE_ERR_STATE && bundle == nullptr ? 0 : 1);
    }
    int state = 0;
    assert_int_equal(::waitpid(child, &state, 0), child);
    assert_true(WIFEXITED(state));
    assert_int_equal(WEXITSTATUS(state), 0);
    gate.store(1);
    assert_int_equal(mmoe_load_wait(load, &bundle, nullptr), MMOE_OK);
    mmoe_bundle_destroy(bundle);
    mmoe_load_destroy(load);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_share_a_bundle),
        cmocka_unit_test(a_shared_executor_serves_one_at_a_time),
        cmocka_unit_test(objects_may_be_destroyed_while_they_run),
        cmocka_unit_test(a_load_may_be_cancelled_at_every_step),
        cmocka_unit_test(a_background_load_may_be_cancelled_at_every_step),
        cmocka_unit_test(a_loading_thread_takes_no_signals),
        cmocka_unit_test(a_process_may_fork_after_a_load),
        cmocka_unit_test(a_process_may_fork_during_a_load),
    };
    return cmocka_run_group_tests_name("fault_threads", tests, nullptr, nullptr);
}
