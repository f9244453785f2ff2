// SPDX-License-Identifier: Apache-2.0
// A hundred thousand runs: no device memory, host memory or descriptor is lost, and every bit that
// is looked at is as in the first run.
#include <cuda_runtime.h>
#include <malloc.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <vector>

#include "cuda_device.h"
#include "parity/layer_calls.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe::parity;

constexpr Case kLayer = {.name = "soak", .tokens = 5, .scheme = {.asymmetric = true}};
constexpr int kWarmUp = 1000;
constexpr int kLookEvery = 500;  // runs; looking waits for the device

// MMOE_GPU_RUNS sets another number.
int run_count() {
    const char* variable = std::getenv("MMOE_GPU_RUNS");
    return variable != nullptr ? std::atoi(variable) : 100'000;
}

struct Held {
    size_t free_device_bytes, host_bytes;
    std::ptrdiff_t descriptors;
};

Held held_now() {
    size_t free = 0;
    size_t total = 0;
    if (cudaMemGetInfo(&free, &total) != cudaSuccess) fail_msg("cudaMemGetInfo");
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return {free, mallinfo2().uordblks, std::distance(begin(open), end(open))};
}

// A context, a bundle and an executor of the layer.
class World {
  public:
    World() : problem_(make_problem(kLayer)), placed_(problem_, device_, MMOE_DTYPE_BF16) {
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CUDA;
        mmoe_context* context = nullptr;
        error_.expect_ok(mmoe_context_create(&options, &context, &error_.value), "context");
        context_.reset(context);
        bundle_ = make_bundle(problem_, context, {});
        auto limits = sized<mmoe_executor_options>();
        limits.max_tokens = static_cast<uint32_t>(kLayer.tokens);
        limits.max_top_k = kLayer.top_k;
        mmoe_executor* executor = nullptr;
        error_.expect_ok(
            mmoe_executor_create(context, bundle_.get(), &limits, &executor, &error_.value),
            "executor");
        executor_.reset(executor);
        first_ = look();
    }
    void run() {
        error_.expect_ok(mmoe_executor_run(executor_.get(), bundle_.get(), &placed_.args(), nullptr,
                                           &error_.value),
                         "run");
    }
    // One run on poisoned memory.
    std::vector<uint8_t> look() {
        error_.expect_ok(placed_.enqueue(executor_.get(), bundle_.get(), nullptr, &error_.value),
                         "run");
        return placed_.output();
    }
    void expect_same_bits(int runs) {
        if (look() != first_) fail_msg("other bits after %d runs", runs);
    }

  private:
    Error error_{"soak"};
    mmoe::test::CudaTestDevice device_;
    Problem problem_;
    PlacedRun placed_;
    Handle<mmoe_context> context_;
    Handle<mmoe_bundle> bundle_;
    Handle<mmoe_executor> executor_;
    std::vector<uint8_t> first_;
};

void nothing_drifts(void** /*state*/) {
    World world;
    for (int i = 0; i < kWarmUp; ++i) world.run();
    world.expect_same_bits(kWarmUp);
    const Held before = held_now();
    const int runs = run_count();
    for (int i = 1; i <= runs; ++i) {
        world.run();
        if (i % kLookEvery == 0) world.expect_same_bits(i);
    }
    const Held after = held_now();
    print_message(
        "soak on the GPU: %d runs; device memory %+lld bytes, host blocks %+lld bytes, "
        "descriptors %+d, every bit as in the first run\n",
        runs, static_cast<long long>(before.free_device_bytes - after.free_device_bytes),
        static_cast<long long>(after.host_bytes - before.host_bytes),
        static_cast<int>(after.descriptors - before.descriptors));
    assert_int_equal(after.free_device_bytes, before.free_device_bytes);
    assert_int_equal(after.descriptors, before.descriptors);
    // The driver's own bookkeeping of a stream's launches may grow by some pages.
    assert_true(after.host_bytes <= before.host_bytes + (size_t{1} << 20));
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {cmocka_unit_test(nothing_drifts)};
    return cmocka_run_group_tests_name("cuda_soak", tests, nullptr, nullptr);
}
