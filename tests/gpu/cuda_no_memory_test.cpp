// SPDX-License-Identifier: Apache-2.0
// Device memory that runs out: the n-th request to the caller's device allocator fails, once and
// from then on, for every n. A call that fails says so, leaks nothing, and works when it is
// repeated with memory; the run then has the bits of one that nothing happened to.
#include <cuda_runtime.h>

#include <filesystem>
#include <string>
#include <vector>

#include "cuda_device.h"
#include "fault/fault_point.h"
#include "parity/layer_calls.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe::parity;
using mmoe::fault::FaultPoint;
using mmoe::fault::Mode;

constexpr Case kLayer = {.name = "device memory", .scheme = {.asymmetric = true}};

struct DeviceMemory {
    FaultPoint point;
    std::atomic<int64_t> live{0};
};

void* device_allocate(void* user, size_t size_bytes, size_t /*alignment: cudaMalloc's is 256*/) {
    auto* const memory = static_cast<DeviceMemory*>(user);
    void* block = nullptr;
    if (memory->point.refuses() || cudaMalloc(&block, size_bytes) != cudaSuccess) return nullptr;
    memory->live.fetch_add(1);
    return block;
}
void device_release(void* user, void* block, size_t /*size_bytes*/) {
    static_cast<DeviceMemory*>(user)->live.fetch_sub(1);
    cudaFree(block);
}

// A call that was refused memory has a sentence, and works when there is memory again.
template <class Step>
void must(DeviceMemory& memory, const char* name, Step&& step) {
    mmoe_error error = {};
    mmoe_status status = step(&error);
    if (status == MMOE_ERR_DEVICE_MEMORY && memory.point.stop()) {
        if (error.status != status || error.message[0] == '\0') fail_msg("%s: no text", name);
        status = step(&error);
    }
    if (status != MMOE_OK) fail_msg("%s: %s", name, error.message);
}

template <class Object, class Step>
Handle<Object> must_make(DeviceMemory& memory, const char* name, Step&& step) {
    Object* object = nullptr;
    must(memory, name, [&](mmoe_error* error) {
        const mmoe_status status = step(&object, error);
        if (status != MMOE_OK && object != nullptr) fail_msg("%s: failed, left an object", name);
        return status;
    });
    return Handle<Object>(object);
}

Handle<mmoe_context> make_context(DeviceMemory& memory) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CUDA;
    options.device_allocator = {&memory, device_allocate, device_release};
    return must_make<mmoe_context>(memory, "context", [&](auto** out, auto* error) {
        return mmoe_context_create(&options, out, error);
    });
}

// Runs once, in a workspace of its own.
std::vector<uint8_t> run(DeviceMemory& memory, mmoe_context* context, const mmoe_bundle* bundle,
                         PlacedRun& placed) {
    auto options = sized<mmoe_executor_options>();
    options.max_tokens = static_cast<uint32_t>(kLayer.tokens);
    options.max_top_k = kLayer.top_k;
    const auto executor = must_make<mmoe_executor>(memory, "executor", [&](auto** out, auto* e) {
        return mmoe_executor_create(context, bundle, &options, out, e);
    });
    must(memory, "run",
         [&](mmoe_error* error) { return placed.enqueue(executor.get(), bundle, nullptr, error); });
    return placed.output();
}

// A context's whole life: a bundle by hand, saved, opened, and a run of each.
std::vector<uint8_t> live_once(DeviceMemory& memory, Problem& problem, PlacedRun& placed,
                               const std::string& path) {
    const auto context = make_context(memory);
    const auto config = make_config(kLayer);
    const auto bundle = must_make<mmoe_bundle>(memory, "create", [&](auto** out, auto* error) {
        return mmoe_bundle_create(context.get(), config.get(), &problem.layer, nullptr, out, error);
    });
    must(memory, "fill",
         [&](mmoe_error* error) { return fill_bundle(bundle.get(), problem, error); });
    std::vector<uint8_t> output = run(memory, context.get(), bundle.get(), placed);
    must(memory, "save",
         [&](mmoe_error* error) { return mmoe_bundle_save(bundle.get(), path.c_str(), error); });
    const auto opened = must_make<mmoe_bundle>(memory, "open", [&](auto** out, auto* error) {
        return mmoe_bundle_open(context.get(), path.c_str(), nullptr, out, error);
    });
    if (run(memory, context.get(), opened.get(), placed) != output) fail_msg("open: other bits");
    return output;
}

void device_memory_may_run_out_anywhere(void** /*state*/) {
    const std::string path =
        (std::filesystem::temp_directory_path() / "mmoe_cuda_no_memory_test").string();
    mmoe::test::CudaTestDevice device;
    Problem problem = make_problem(kLayer);
    PlacedRun placed(problem, device, MMOE_DTYPE_BF16);
    DeviceMemory memory;
    const std::vector<uint8_t> want = live_once(memory, problem, placed, path);
    int64_t points = 0;
    for (const Mode mode : {Mode::kOnce, Mode::kFromThenOn}) {
        for (int64_t n = 0;; ++n) {
            memory.point.arm(n, mode);
            if (live_once(memory, problem, placed, path) != want) fail_msg("other bits");
            assert_int_equal(memory.live.load(), 0);
            // must() has stopped the point that refused.
            if (!memory.point.refused()) break;
            ++points;
        }
        memory.point.stop();
    }
    std::filesystem::remove(path);
    print_message("out of device memory: %d points, none left unhandled\n",
                  static_cast<int>(points));
    assert_true(points >= 6);  // two bundles and a workspace at least, in both ways
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {cmocka_unit_test(device_memory_may_run_out_anywhere)};
    return cmocka_run_group_tests_name("cuda_no_memory", tests, nullptr, nullptr);
}
