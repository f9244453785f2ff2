// SPDX-License-Identifier: Apache-2.0
// Loading from a checkpoint: progress and cancelling, loads in the background, and experts that
// come from a file one by one.
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "bundle/bundle.h"
#include "bundle/load_job.h"
#include "cmocka_cpp.h"
#include "support/patched_model.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr uint16_t kBf16NaN = 0x7FC0;

// ---- Progress and cancelling ----

void progress_rises_to_the_whole(void**) {
    const ScratchFolder folder("bundle_progress");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    std::vector<uint64_t> seen;
    uint64_t total = 0;
    const auto bundle =
        Bundle::load(make_logging_context(), *checkpoint, checkpoint->layers()[0], {}, 0,
                     [&](uint64_t done, uint64_t all) {
                         seen.push_back(done);
                         total = all;
                         return true;
                     })
            .value();
    assert_int_equal(seen.front(), 0);
    assert_true(std::is_sorted(seen.begin(), seen.end()));
    assert_int_equal(seen.back(), total);
    assert_int_equal(total, bundle->resident_bytes());
}

void every_step_can_be_cancelled(void**) {
    const ScratchFolder folder("bundle_cancel");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    const auto load = [&](int stop_at) {
        int calls = 0;
        const auto loaded =
            Bundle::load(make_logging_context(), *checkpoint, checkpoint->layers()[0], {}, 0,
                         [&](uint64_t, uint64_t) { return calls++ != stop_at; });
        if (calls > stop_at) {
            assert_int_equal(loaded.status().code(), Code::kCancelled);
        } else {
            assert_true(loaded.ok());
        }
        return calls > stop_at;
    };
    int stop_at = 0;
    while (load(stop_at)) ++stop_at;
    assert_true(stop_at >= 2);  // before the first expert and after the last
}

// ---- In the background ----

std::shared_ptr<LoadJob> start(const std::shared_ptr<const Checkpoint>& checkpoint,
                               Progress progress) {
    return LoadJob::start(make_logging_context(), checkpoint, checkpoint->layers()[0], {}, 0,
                          std::move(progress))
        .value();
}

void a_load_in_the_background_gives_its_bundle_once(void**) {
    const ScratchFolder folder("bundle_background");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    const auto job = start(checkpoint, {});
    const auto bundle = job->wait().value();
    assert_true(bundle->sealed());
    const LoadJob::Snapshot end = job->poll();
    assert_true(end.finished);
    assert_int_equal(end.done_bytes, end.total_bytes);
    assert_int_equal(end.total_bytes, bundle->resident_bytes());
    assert_int_equal(job->wait().status().code(), Code::kState);
}

// The load stands still in its first report until it has been told to stop.
void a_load_in_the_background_is_cancelled(void**) {
    const ScratchFolder folder("bundle_background_cancel");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    std::atomic<bool> reached{false}, go_on{false};
    const auto job = start(checkpoint, [&](uint64_t, uint64_t) {
        reached = true;
        while (!go_on) std::this_thread::yield();
        return true;
    });
    while (!reached) std::this_thread::yield();
    assert_false(job->poll().finished);
    job->cancel();
    go_on = true;
    assert_int_equal(job->wait().status().code(), Code::kCancelled);
    assert_int_equal(job->wait().status().code(), Code::kCancelled);
    assert_true(job->poll().finished);
}

void a_load_that_nobody_waits_for_ends(void**) {
    const ScratchFolder folder("bundle_background_dropped");
    const auto checkpoint = open_model(folder, packed_model(), kAsymmetric4);
    std::atomic<int> reports{0};
    auto job = start(checkpoint, [&](uint64_t, uint64_t) {
        ++reports;
        return true;
    });
    job.reset();  // cancels and waits
    const int after = reports;
    std::this_thread::yield();
    assert_int_equal(reports, after);
}

void a_load_in_the_background_fails_as_a_load_does(void**) {
    const ScratchFolder folder("bundle_background_fails");
    const auto checkpoint = open_patched(folder, packed_model(), kAsymmetric4,
                                         {{"2.up_proj.weight_scale", 11, bytes_of(kBf16NaN)}});
    const auto failed = start(checkpoint, {})->wait();
    assert_int_equal(failed.status().code(), Code::kBadData);
    assert_string_equal(failed.status().message(),
                        "layer 0 expert 2 up_proj: scale of output 5, group 1: expected a finite "
                        "number, got infinity or NaN");
}

// ---- One expert at a time ----

void experts_come_from_a_file_one_by_one(void**) {
    const ScratchFolder folder("bundle_put_from");
    const auto checkpoint = open_patched(folder, packed_model(), kAsymmetric4,
                                         {{"0.up_proj.weight_packed", 3, bytes_of(0x12345678)},
                                          {"2.down_proj.weight_packed", 5, bytes_of(0x0FEDCBA9)}});
    const LayerEntry& entry = checkpoint->layers()[0];
    const auto all = Bundle::load(make_logging_context(), *checkpoint, entry, {}, 0, {}).value();
    const auto some = Bundle::load(make_logging_context(), *checkpoint, entry, {}, 2, {}).value();
    assert_true(some->sealed());
    assert_int_equal(some->resident_count(), 0);
    const auto bytes = [](const Bundle& bundle, size_t expert) {
        return bundle.cpu()->slot_bytes(bundle.slots()[expert]);
    };
    for (const int64_t expert : {2, 0}) {
        assert_true(some->put(expert, *checkpoint, entry).ok());
        const auto index = static_cast<size_t>(expert);
        assert_true(std::ranges::equal(bytes(*some, index), bytes(*all, index)));
    }
    assert_int_equal(some->put(1, *checkpoint, entry).code(), Code::kState);
    const uint8_t* address = bytes(*some, 2).data();
    assert_true(some->evict(2).ok());
    assert_true(some->put(1, *checkpoint, entry).ok());
    assert_ptr_equal(bytes(*some, 1).data(), address);
    assert_true(std::ranges::equal(bytes(*some, 1), bytes(*all, 1)));
    assert_int_equal(some->slots()[2], -1);
}

// The file is read projection by projection, so the expert that was there is gone.
void a_bad_expert_from_a_file_is_not_resident(void**) {
    const ScratchFolder good_folder("bundle_put_good"), bad_folder("bundle_put_bad");
    const auto good = open_model(good_folder, packed_model(), kAsymmetric4);
    const auto bad = open_patched(bad_folder, packed_model(), kAsymmetric4,
                                  {{"1.down_proj.weight_scale", 0, bytes_of(kBf16NaN)}});
    const auto bundle =
        Bundle::load(make_logging_context(), *good, good->layers()[0], {}, 0, {}).value();
    const Status status = bundle->put(1, *bad, bad->layers()[0]);
    assert_int_equal(status.code(), Code::kBadData);
    assert_int_equal(bundle->slots()[1], -1);
    assert_int_equal(bundle->resident_count(), kExperts - 1);
    assert_true(bundle->put(1, *good, good->layers()[0]).ok());
    assert_int_equal(bundle->resident_count(), kExperts);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(progress_rises_to_the_whole),
        cmocka_unit_test(every_step_can_be_cancelled),
        cmocka_unit_test(a_load_in_the_background_gives_its_bundle_once),
        cmocka_unit_test(a_load_in_the_background_is_cancelled),
        cmocka_unit_test(a_load_that_nobody_waits_for_ends),
        cmocka_unit_test(a_load_in_the_background_fails_as_a_load_does),
        cmocka_unit_test(experts_come_from_a_file_one_by_one),
        cmocka_unit_test(a_bad_expert_from_a_file_is_not_resident),
    };
    return cmocka_run_group_tests_name("unit_bundle_load", tests, nullptr, nullptr);
}
