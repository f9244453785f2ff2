// SPDX-License-Identifier: Apache-2.0
// Room base: status text, checked arithmetic, memory, parallel loops, number formats.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/checked.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/status.h"
#include "layout/number.h"

#include "cmocka_cpp.h"

using namespace mmoe;

namespace {

void status_text_is_cut_at_a_character(void**) {
    // 231 bytes fit; the two-byte character that straddles the end must go whole.
    const std::string text = std::string(230, 'x') + "\xC3\xA9";
    const Status status = Status::error(Code::kIo, "%s", text.c_str());
    assert_int_equal(std::strlen(status.message()), 230);
    const std::string fits = std::string(229, 'x') + "\xC3\xA9";
    assert_string_equal(Status::error(Code::kIo, "%s", fits.c_str()).message(), fits.c_str());
}

void status_context_goes_before_the_sentence(void**) {
    Status status = Status::error(Code::kBadData, "expected 1, got 2").at_offset(7);
    status = std::move(status).within("layer %d", 3);
    assert_string_equal(status.message(), "layer 3: expected 1, got 2");
    assert_int_equal(status.file_offset(), 7);
    assert_true(Status().within("x").ok());
}

Result<int> halve(int value) {
    if (value % 2 != 0) return Status::error(Code::kInvalidArgument, "%d is odd", value);
    return value / 2;
}
Status quarter(int value, int* out) {
    TRY(const int half, halve(value));
    TRY(*out, halve(half));
    TRY(halve(*out));
    return {};
}

void try_returns_the_first_failure(void**) {
    int out = 0;
    assert_true(quarter(8, &out).ok());
    assert_int_equal(out, 2);
    assert_string_equal(quarter(6, &out).message(), "3 is odd");
}

void checked_arithmetic_knows_its_borders(void**) {
    assert_int_equal(*checked_mul(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), (UINT64_MAX >> 32)
                                                                                   << 32);
    assert_false(checked_mul(uint64_t{1} << 32, uint64_t{1} << 32).has_value());
    assert_false(checked_mul(INT64_MAX, int64_t{2}).has_value());
    assert_false(checked_mul(uint64_t{1} << 31, uint64_t{1} << 31, uint64_t{4}).has_value());
    assert_false(checked_add(UINT64_MAX, uint64_t{1}).has_value());
    assert_int_equal(*checked_add(UINT64_MAX - 1, uint64_t{1}), UINT64_MAX);
    assert_int_equal(ceil_div(UINT64_MAX, uint64_t{2}), uint64_t{1} << 63);
}

void buffers_are_aligned_and_refuse_the_impossible(void**) {
    const auto allocator = std::make_shared<const Allocator>();
    for (const uint64_t size : {uint64_t{1}, uint64_t{65}, uint64_t{20} << 20}) {
        Result<Buffer> buffer = Buffer::create(allocator, size, "test");
        assert_true(buffer.ok());
        assert_int_equal(reinterpret_cast<uintptr_t>(buffer.value().data()) % kAlignmentBytes, 0);
        std::memset(buffer.value().data(), 1, size);
    }
    for (const uint64_t size : {UINT64_MAX, UINT64_MAX - 63, uint64_t{1} << 62}) {
        Result<Buffer> buffer = Buffer::create(allocator, size, "weights");
        assert_false(buffer.ok());
        assert_int_equal(buffer.status().code(), static_cast<int>(Code::kOutOfMemory));
        assert_non_null(std::strstr(buffer.status().message(), "weights"));
    }
    assert_null(Buffer::create(allocator, 0, "nothing").value().data());
}

void every_task_runs_once(void**) {
    for (const uint32_t threads : {1u, 2u, 3u, 7u}) {
        auto parallel = Parallel::create(threads, nullptr, nullptr).value();
        assert_true(parallel->start().ok());
        assert_true(parallel->start().ok());
        for (const uint32_t tasks : {0u, 1u, 2u, 5u, 1000u}) {
            for (int repeat = 0; repeat < 50; ++repeat) {
                std::vector<std::atomic<int>> ran(tasks);
                parallel->run(tasks, [&](uint32_t i) { ran[i].fetch_add(1); });
                assert_true(std::all_of(ran.begin(), ran.end(), [](auto& n) { return n == 1; }));
            }
        }
    }
}

// A worker that is late for the last of few tasks must not take one of the next, larger loop.
void short_loops_do_not_run_into_each_other(void**) {
    constexpr uint32_t kLargest = 15;
    auto parallel = Parallel::create(7, nullptr, nullptr).value();
    assert_true(parallel->start().ok());
    std::vector<std::atomic<int>> ran(kLargest + 1);
    for (int repeat = 0; repeat < 200000; ++repeat) {
        const uint32_t tasks = repeat % 2 == 0 ? 2 : kLargest;
        for (std::atomic<int>& count : ran) count = 0;
        parallel->run(tasks, [&](uint32_t i) { ran[std::min(i, kLargest)].fetch_add(1); });
        for (uint32_t i = 0; i <= kLargest; ++i) assert_int_equal(ran[i], i < tasks ? 1 : 0);
    }
}

void loops_of_several_threads_take_turns(void**) {
    auto parallel = Parallel::create(3, nullptr, nullptr).value();
    assert_true(parallel->start().ok());
    std::atomic<uint64_t> sum{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&] {
            for (int repeat = 0; repeat < 200; ++repeat) {
                parallel->run(10, [&](uint32_t i) { sum.fetch_add(i); });
            }
        });
    }
    for (std::thread& caller : callers) caller.join();
    assert_int_equal(sum.load(), 4 * 200 * 45);
}

void idle_workers_wake_again(void**) {
    auto parallel = Parallel::create(2, nullptr, nullptr).value();
    assert_true(parallel->start().ok());
    std::atomic<int> ran{0};
    for (int repeat = 0; repeat < 5; ++repeat) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        parallel->run(100, [&](uint32_t) { ran.fetch_add(1); });
    }
    assert_int_equal(ran.load(), 500);
}

void the_callers_loop_is_used(void**) {
    static uint32_t calls = 0;
    const auto hook = [](void* user, uint32_t count, Parallel::Task task, void* data) {
        assert_ptr_equal(user, &calls);
        ++calls;
        for (uint32_t i = count; i-- > 0;) task(data, i);
    };
    auto parallel = Parallel::create(4, hook, &calls).value();
    int ran = 0;
    parallel->run(10, [&](uint32_t) { ++ran; });
    assert_int_equal(ran, 10);
    assert_int_equal(calls, 1);
}

void thread_counts_have_a_limit(void**) {
    assert_false(Parallel::create(1u << 20, nullptr, nullptr).ok());
    assert_true(Parallel::create(0, nullptr, nullptr).value()->thread_count() >= 1);
}

std::string last_line;

void log_lines_respect_the_level(void**) {
    const Log log([](void*, int32_t, const char* line) { last_line = line; }, nullptr,
                  LogLevel::kInfo);
    log.line(LogLevel::kInfo, "%d tensors", 3);
    assert_string_equal(last_line.c_str(), "3 tensors");
    log.line(LogLevel::kDebug, "never");
    assert_string_equal(last_line.c_str(), "3 tensors");
    Log().line(LogLevel::kWarning, "nowhere");
}

void sixteen_bit_numbers_round_trip(void**) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<uint16_t>(bits);
        const float f16 = layout::f16_to_f32(half);
        const float bf16 = layout::bf16_to_f32(half);
        if (std::isnan(f16)) {
            assert_true(std::isnan(layout::f16_to_f32(layout::f32_to_f16(f16))));
        } else {
            assert_int_equal(layout::f32_to_f16(f16), half);
        }
        if (std::isnan(bf16)) {
            assert_true(std::isnan(layout::bf16_to_f32(layout::f32_to_bf16(bf16))));
        } else {
            assert_int_equal(layout::f32_to_bf16(bf16), half);
        }
    }
}

// Nearest even, by comparing with both neighbours in double.
void check_nearest_even(double value, double low, double high, uint32_t low_bits, uint32_t got) {
    const double middle = (low + high) / 2;
    const uint32_t want = value < middle      ? low_bits
                          : value > middle    ? low_bits + 1
                          : low_bits % 2 != 0 ? low_bits + 1
                                              : low_bits;
    assert_int_equal(got, want);
}

void narrowing_rounds_to_nearest_even(void**) {
    for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
        const double low = layout::f16_to_f32(static_cast<uint16_t>(bits));
        const double high =
            bits == 0x7BFF ? 65536.0 : layout::f16_to_f32(static_cast<uint16_t>(bits + 1));
        for (const double part : {0.0, 0.25, 0.4999, 0.5, 0.5001, 0.75}) {
            const auto value = static_cast<float>(low + (high - low) * part);
            check_nearest_even(value, low, high, bits, layout::f32_to_f16(value));
            assert_int_equal(layout::f32_to_f16(-value), layout::f32_to_f16(value) | 0x8000);
        }
    }
    for (uint32_t bits = 1; bits < 0x7F7F; bits += 7) {
        const double low = layout::bf16_to_f32(static_cast<uint16_t>(bits));
        const double high = layout::bf16_to_f32(static_cast<uint16_t>(bits + 1));
        for (const double part : {0.0, 0.25, 0.49, 0.5, 0.51, 0.75}) {
            const auto value = static_cast<float>(low + (high - low) * part);
            check_nearest_even(value, low, high, bits, layout::f32_to_bf16(value));
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(status_text_is_cut_at_a_character),
        cmocka_unit_test(status_context_goes_before_the_sentence),
        cmocka_unit_test(try_returns_the_first_failure),
        cmocka_unit_test(checked_arithmetic_knows_its_borders),
        cmocka_unit_test(buffers_are_aligned_and_refuse_the_impossible),
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(short_loops_do_not_run_into_each_other),
        cmocka_unit_test(loops_of_several_threads_take_turns),
        cmocka_unit_test(idle_workers_wake_again),
        cmocka_unit_test(the_callers_loop_is_used),
        cmocka_unit_test(thread_counts_have_a_limit),
        cmocka_unit_test(log_lines_respect_the_level),
        cmocka_unit_test(sixteen_bit_numbers_round_trip),
        cmocka_unit_test(narrowing_rounds_to_nearest_even),
    };
    return cmocka_run_group_tests_name("unit_base", tests, nullptr, nullptr);
}
