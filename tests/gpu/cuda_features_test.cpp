// SPDX-License-Identifier: Apache-2.0
// What a program sees of CUDA beside numbers: the list of devices, the caller's memory and budget,
// experts that change under a captured graph.
#include <cuda_runtime.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "cuda_device.h"
#include "parity/layer_calls.h"

namespace {

using namespace mmoe::parity;
using mmoe::test::CudaTestDevice;

void check(cudaError_t status, const char* step) {
    if (status != cudaSuccess) fail_msg("%s: %s", step, cudaGetErrorString(status));
}

mmoe_context_options cuda_options() {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CUDA;
    return options;
}

Handle<mmoe_context> make_context(const mmoe_context_options& options) {
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

Handle<mmoe_executor> make_executor(mmoe_context* context, const mmoe_bundle* bundle,
                                    const Case& spec) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(spec.tokens);
    options.max_top_k = spec.top_k;
    mmoe_executor* executor = nullptr;
    Error error{spec.name};
    error.expect_ok(mmoe_executor_create(context, bundle, &options, &executor, &error.value),
                    "executor");
    return Handle<mmoe_executor>(executor);
}

std::vector<uint8_t> run(PlacedRun& placed, mmoe_executor* executor, const mmoe_bundle* bundle) {
    Error error{"run"};
    error.expect_ok(placed.enqueue(executor, bundle, nullptr, &error.value), "enqueue");
    return placed.output();
}

void devices_are_those_of_the_runtime(void** /*state*/) {
    int expected = 0;
    check(cudaGetDeviceCount(&expected), "count");
    uint32_t count = 0;
    Error error{"devices"};
    error.expect_ok(mmoe_device_count(MMOE_DEVICE_CUDA, &count, &error.value), "count");
    assert_int_equal(count, expected);
    for (uint32_t index = 0; index < count; ++index) {
        cudaDeviceProp properties = {};
        check(cudaGetDeviceProperties(&properties, static_cast<int>(index)), "properties");
        auto device = sized<mmoe_device_description>();
        error.expect_ok(mmoe_device_info(MMOE_DEVICE_CUDA, index, &device, &error.value), "info");
        assert_int_equal(device.index, index);
        assert_string_equal(device.name, properties.name);
        assert_memory_equal(device.uuid, &properties.uuid, sizeof device.uuid);
        assert_memory_equal(device.luid, properties.luid, sizeof device.luid);
        assert_int_equal(device.memory_bytes, properties.totalGlobalMem);
        assert_true(device.memory_free_bytes > 0);
        assert_true(device.memory_free_bytes <= device.memory_bytes);
        assert_int_equal(device.processor_count, properties.multiProcessorCount);
        assert_int_equal(device.compute_major, properties.major);
        assert_int_equal(device.compute_minor, properties.minor);
        assert_int_equal(device.shared_memory_bytes, properties.sharedMemPerBlockOptin);
    }
    auto device = sized<mmoe_device_description>();
    assert_int_equal(mmoe_device_info(MMOE_DEVICE_CUDA, count, &device, nullptr),
                     MMOE_ERR_NO_DEVICE);
}

// Device memory that knows what it gave.
struct CountedMemory {
    std::mutex mutex;
    std::map<void*, size_t> live;
    int calls = 0;
    bool wrong_release = false;

    static void* allocate(void* user, size_t size_bytes, size_t /*alignment_bytes*/) {
        auto& self = *static_cast<CountedMemory*>(user);
        const std::lock_guard lock(self.mutex);
        void* memory = nullptr;
        if (cudaMalloc(&memory, size_bytes) != cudaSuccess) return nullptr;
        self.live[memory] = size_bytes;
        ++self.calls;
        return memory;
    }
    static void release(void* user, void* memory, size_t size_bytes) {
        auto& self = *static_cast<CountedMemory*>(user);
        const std::lock_guard lock(self.mutex);
        const auto found = self.live.find(memory);
        if (found == self.live.end() || found->second != size_bytes) {
            self.wrong_release = true;
            return;
        }
        cudaFree(memory);
        self.live.erase(found);
    }
};

constexpr Case kCase = {.name = "features", .tokens = 9, .scheme = {.asymmetric = true}};

void device_memory_is_the_callers(void** /*state*/) {
    CountedMemory memory;
    {
        CudaTestDevice device;
        mmoe_context_options options = cuda_options();
        options.device_allocator = {&memory, &CountedMemory::allocate, &CountedMemory::release};
        const Handle<mmoe_context> context = make_context(options);
        Problem problem = make_problem(kCase);
        const Handle<mmoe_bundle> bundle = make_bundle(problem, context.get(), {});
        assert_true(memory.calls > 0);
        const int before = memory.calls;
        const Handle<mmoe_executor> executor = make_executor(context.get(), bundle.get(), kCase);
        assert_true(memory.calls > before);
        PlacedRun placed(problem, device, MMOE_DTYPE_BF16);
        const int ready = memory.calls;
        run(placed, executor.get(), bundle.get());
        assert_int_equal(memory.calls, ready);  // a run allocates nothing
    }
    assert_int_equal(memory.live.size(), 0);
    assert_false(memory.wrong_release);
}

void expect_no_bundle(const mmoe_context_options& options, mmoe_status expected) {
    const Handle<mmoe_context> context = make_context(options);
    const Problem problem = make_problem(kCase);
    const Handle<mmoe_quant_config> config = make_config(kCase);
    mmoe_bundle* bundle = nullptr;
    assert_int_equal(
        mmoe_bundle_create(context.get(), config.get(), &problem.layer, nullptr, &bundle, nullptr),
        expected);
    assert_null(bundle);
}

void an_allocator_that_gives_nothing_is_an_error(void** /*state*/) {
    mmoe_context_options options = cuda_options();
    options.device_allocator = {
        nullptr, [](void*, size_t, size_t) -> void* { return nullptr; },
        [](void*, void*, size_t) { fail_msg("released what was never given"); }};
    expect_no_bundle(options, MMOE_ERR_DEVICE_MEMORY);
}

void a_bundle_beyond_the_budget_is_refused(void** /*state*/) {
    mmoe_context_options options = cuda_options();
    options.memory_budget_bytes = 4096;
    expect_no_bundle(options, MMOE_ERR_MEMORY_BUDGET);
}

void put_expert(mmoe_bundle* bundle, uint32_t number, QuantizedExpert& expert) {
    std::vector<mmoe_expert_tensor> tensors;
    for (const auto& [projection, linear] :
         {std::pair{MMOE_PROJECTION_GATE, &expert.gate}, std::pair{MMOE_PROJECTION_UP, &expert.up},
          std::pair{MMOE_PROJECTION_DOWN, &expert.down}}) {
        tensors.push_back({projection, MMOE_ROLE_WEIGHT, linear->weight.tensor()});
        tensors.push_back({projection, MMOE_ROLE_SCALE, linear->scale.tensor()});
        tensors.push_back({projection, MMOE_ROLE_ZERO_POINT, linear->zero_point.tensor()});
    }
    Error error{"put"};
    error.expect_ok(mmoe_bundle_put(bundle, number, tensors.data(),
                                    static_cast<uint32_t>(tensors.size()), &error.value),
                    "expert");
}

// What a graph points to stays where it was: the old graph computes with the new experts.
void experts_change_under_a_captured_graph(void** /*state*/) {
    CudaTestDevice device;
    const Handle<mmoe_context> context = make_context(cuda_options());
    Problem before = make_problem(kCase);
    Problem after = make_problem(kCase);
    std::rotate(after.experts.begin(), after.experts.begin() + 1, after.experts.end());
    const Handle<mmoe_bundle> bundle = make_bundle(before, context.get(), {});
    const Handle<mmoe_bundle> fresh = make_bundle(after, context.get(), {});
    const Handle<mmoe_executor> executor = make_executor(context.get(), bundle.get(), kCase);
    PlacedRun placed(before, device, MMOE_DTYPE_BF16);
    const std::vector<uint8_t> old_output = run(placed, executor.get(), bundle.get());
    const std::vector<uint8_t> new_output = run(placed, executor.get(), fresh.get());
    assert_true(new_output != old_output);

    cudaStream_t stream = nullptr;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamCreate(&stream), "stream");
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "begin capture");
    Error error{"capture"};
    error.expect_ok(
        mmoe_executor_run(executor.get(), bundle.get(), &placed.args(), stream, &error.value),
        "run");
    check(cudaStreamEndCapture(stream, &graph), "end capture");
    check(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    check(cudaGraphLaunch(executable, stream), "launch");
    assert_true(placed.output() == old_output);
    for (uint32_t expert = 0; expert < kCase.experts; ++expert) {
        put_expert(bundle.get(), expert, after.experts[expert]);
    }
    check(cudaGraphLaunch(executable, stream), "launch");
    assert_true(placed.output() == new_output);
    check(cudaGraphExecDestroy(executable), "destroy");
    check(cudaGraphDestroy(graph), "destroy");
    check(cudaStreamDestroy(stream), "destroy");
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_those_of_the_runtime),
        cmocka_unit_test(device_memory_is_the_callers),
        cmocka_unit_test(an_allocator_that_gives_nothing_is_an_error),
        cmocka_unit_test(a_bundle_beyond_the_budget_is_refused),
        cmocka_unit_test(experts_change_under_a_captured_graph),
    };
    return cmocka_run_group_tests_name("cuda_features", tests, nullptr, nullptr);
}
