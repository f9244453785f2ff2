// SPDX-License-Identifier: Apache-2.0
// The library in a host program's life: loaded, run and unloaded a thousand times without a byte of
// device memory lost; beside a CUDA context of the host's own, which stays current; in a captured
// graph; in several executors on several streams and threads. The library is opened by its name
// (argument 1, or as the loader finds it), never linked.
#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cuda_device.h"
#include "marlin_moe.h"

#include "cmocka_cpp.h"

namespace {

constexpr uint32_t kExperts = 4, kTopK = 2, kHidden = 256, kInner = 128, kTokens = 40;
constexpr int32_t kGroup = 64;

void check(cudaError_t status, const char* what) {
    if (status != cudaSuccess) fail_msg("%s: %s", what, cudaGetErrorString(status));
}

std::string library_name = "libmarlin_moe.so.0";

// The functions that are used here, found by name.
class Library {
  public:
    Library() : handle_(dlopen(library_name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        if (handle_ == nullptr) fail_msg("%s", dlerror());
        find("mmoe_context_create", &context_create);
        find("mmoe_context_destroy", &context_destroy);
        find("mmoe_quant_config_create", &quant_config_create);
        find("mmoe_quant_config_destroy", &quant_config_destroy);
        find("mmoe_bundle_create", &bundle_create);
        find("mmoe_bundle_set", &bundle_set);
        find("mmoe_bundle_seal", &bundle_seal);
        find("mmoe_bundle_destroy", &bundle_destroy);
        find("mmoe_executor_create", &executor_create);
        find("mmoe_executor_run", &executor_run);
        find("mmoe_executor_destroy", &executor_destroy);
    }
    ~Library() { dlclose(handle_); }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    decltype(&mmoe_context_create) context_create;
    decltype(&mmoe_context_destroy) context_destroy;
    decltype(&mmoe_quant_config_create) quant_config_create;
    decltype(&mmoe_quant_config_destroy) quant_config_destroy;
    decltype(&mmoe_bundle_create) bundle_create;
    decltype(&mmoe_bundle_set) bundle_set;
    decltype(&mmoe_bundle_seal) bundle_seal;
    decltype(&mmoe_bundle_destroy) bundle_destroy;
    decltype(&mmoe_executor_create) executor_create;
    decltype(&mmoe_executor_run) executor_run;
    decltype(&mmoe_executor_destroy) executor_destroy;

  private:
    template <class Function>
    void find(const char* name, Function* function) {
        *function = reinterpret_cast<Function>(dlsym(handle_, name));
        if (*function == nullptr) fail_msg("%s is not in the library", name);
    }
    void* handle_;
};

struct Error {
    mmoe_error value{};
    void expect_ok(mmoe_status status, const char* step) const {
        if (status != MMOE_OK) fail_msg("%s: %s", step, value.message);
    }
};

template <class T>
T sized() {
    T structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

mmoe_tensor matrix(void* data, mmoe_dtype dtype, int64_t rows, int64_t columns) {
    mmoe_tensor tensor{};
    tensor.data = data;
    tensor.dtype = dtype;
    tensor.rank = 2;
    tensor.shape[0] = rows;
    tensor.shape[1] = columns;
    return tensor;
}

// A small layer on CUDA device 0: whatever a program needs of the library.
class Layer {
  public:
    explicit Layer(const Library& library) : library_(library) {
        Error error;
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CUDA;
        options.thread_count = 1;
        error.expect_ok(library.context_create(&options, &context_, &error.value), "context");
        auto fields = sized<mmoe_quant_fields>();
        fields.bits = 4;
        fields.group_size = kGroup;
        error.expect_ok(library.quant_config_create(&fields, &config_, &error.value), "config");
        auto layer = sized<mmoe_layer>();
        layer.expert_count = kExperts;
        layer.hidden_size = kHidden;
        layer.intermediate_size = kInner;
        error.expect_ok(
            library.bundle_create(context_, config_, &layer, nullptr, &bundle_, &error.value),
            "bundle");
        for (uint32_t expert = 0; expert < kExperts; ++expert) {
            fill(expert, MMOE_PROJECTION_GATE, kInner, kHidden);
            fill(expert, MMOE_PROJECTION_UP, kInner, kHidden);
            fill(expert, MMOE_PROJECTION_DOWN, kHidden, kInner);
        }
        error.expect_ok(library.bundle_seal(bundle_, &error.value), "seal");
    }
    ~Layer() {
        library_.bundle_destroy(bundle_);
        library_.quant_config_destroy(config_);
        library_.context_destroy(context_);
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    [[nodiscard]] mmoe_executor* make_executor() const {
        auto options = sized<mmoe_executor_options>();
        options.max_tokens = kTokens;
        options.max_top_k = kTopK;
        mmoe_executor* executor = nullptr;
        Error error;
        error.expect_ok(
            library_.executor_create(context_, bundle_, &options, &executor, &error.value),
            "executor");
        return executor;
    }
    [[nodiscard]] const mmoe_bundle* bundle() const { return bundle_; }

  private:
    void fill(uint32_t expert, mmoe_projection projection, int64_t outputs, int64_t inputs) {
        std::vector<uint32_t> weight(static_cast<size_t>(outputs * inputs / 8));
        uint32_t state = 977 * expert + static_cast<uint32_t>(projection);
        for (uint32_t& word : weight) word = state = state * 1664525 + 1013904223;
        constexpr uint16_t kScale = 0x3C80;  // bf16 1/64
        std::vector<uint16_t> scale(static_cast<size_t>(outputs * inputs / kGroup), kScale);
        const mmoe_tensor tensors[] = {
            matrix(weight.data(), MMOE_DTYPE_I32, outputs, inputs / 8),
            matrix(scale.data(), MMOE_DTYPE_BF16, outputs, inputs / kGroup)};
        Error error;
        error.expect_ok(library_.bundle_set(bundle_, expert, projection, MMOE_ROLE_WEIGHT,
                                            &tensors[0], &error.value),
                        "weight");
        error.expect_ok(library_.bundle_set(bundle_, expert, projection, MMOE_ROLE_SCALE,
                                            &tensors[1], &error.value),
                        "scale");
    }

    const Library& library_;
    mmoe_context* context_ = nullptr;
    mmoe_quant_config* config_ = nullptr;
    mmoe_bundle* bundle_ = nullptr;
};

// Operands of a run in memory of the current CUDA context.
class Operands {
  public:
    Operands() {
        std::vector<uint16_t> hidden(kTokens * kHidden);
        std::vector<int32_t> ids(kTokens * kTopK);
        std::vector<float> weights(kTokens * kTopK, 0.5F);
        for (size_t i = 0; i < hidden.size(); ++i) {
            hidden[i] = static_cast<uint16_t>(0x3F00 + (i * 37) % 0x80 + (i % 2) * 0x8000);
        }
        for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 7) % kExperts);
        args_.hidden = matrix(upload(hidden), MMOE_DTYPE_BF16, kTokens, kHidden);
        args_.expert_ids = matrix(upload(ids), MMOE_DTYPE_I32, kTokens, kTopK);
        args_.expert_weights = matrix(upload(weights), MMOE_DTYPE_F32, kTokens, kTopK);
        args_.output = matrix(upload(std::vector<uint16_t>(kTokens * kHidden, 0xFFFF)),
                              MMOE_DTYPE_BF16, kTokens, kHidden);
    }
    ~Operands() {
        for (void* block : blocks_) cudaFree(block);
    }
    Operands(const Operands&) = delete;
    Operands& operator=(const Operands&) = delete;

    void enqueue(const Library& library, mmoe_executor* executor, const Layer& layer,
                 cudaStream_t stream) {
        Error error;
        error.expect_ok(
            library.executor_run(executor, layer.bundle(), &args_, stream, &error.value), "run");
    }
    void poison(cudaStream_t stream) {
        check(cudaMemsetAsync(args_.output.data, 0xFF, kTokens * kHidden * 2, stream), "poison");
    }
    [[nodiscard]] std::vector<uint16_t> output(cudaStream_t stream) const {
        check(cudaStreamSynchronize(stream), "the run");
        std::vector<uint16_t> values(kTokens * kHidden);
        check(
            cudaMemcpy(values.data(), args_.output.data, values.size() * 2, cudaMemcpyDeviceToHost),
            "output");
        return values;
    }

  private:
    template <class T>
    void* upload(const std::vector<T>& data) {
        void* block = nullptr;
        check(cudaMalloc(&block, data.size() * sizeof(T)), "cudaMalloc");
        blocks_.push_back(block);
        check(cudaMemcpy(block, data.data(), data.size() * sizeof(T), cudaMemcpyHostToDevice),
              "upload");
        return block;
    }
    mmoe_run_args args_ = sized<mmoe_run_args>();
    std::vector<void*> blocks_;
};

std::vector<uint16_t> run_once(const Library& library, const Layer& layer, cudaStream_t stream) {
    Operands operands;
    mmoe_executor* executor = layer.make_executor();
    operands.enqueue(library, executor, layer, stream);
    std::vector<uint16_t> output = operands.output(stream);
    library.executor_destroy(executor);
    return output;
}

std::vector<uint16_t> load_run_unload() {
    const Library library;
    const Layer layer(library);
    return run_once(library, layer, nullptr);
}

size_t free_bytes() {
    size_t free = 0;
    size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return free;
}

// MMOE_GPU_CYCLES sets another number, for runs under compute-sanitizer.
int cycle_count() {
    const char* variable = std::getenv("MMOE_GPU_CYCLES");
    return variable != nullptr ? std::atoi(variable) : 1000;
}

void a_thousand_lives_lose_nothing(void** /*state*/) {
    const std::vector<uint16_t> first = load_run_unload();
    const size_t before = free_bytes();
    const int cycles = cycle_count();
    for (int cycle = 1; cycle < cycles; ++cycle) {
        if (load_run_unload() != first) fail_msg("cycle %d gave other bits", cycle);
    }
    const size_t after = free_bytes();
    if (after + (size_t{4} << 20) < before) {
        fail_msg("%zu bytes of device memory are gone", before - after);
    }
}

template <class Function>
Function* driver_function(const char* name) {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    constexpr unsigned kVersion = 11000;  // cuCtxCreate with three parameters
    check(cudaGetDriverEntryPointByVersion(name, &entry, kVersion, cudaEnableDefault, &found),
          name);
    assert_non_null(entry);
    return reinterpret_cast<Function*>(entry);
}

// A context of the host program's own, beside the device's primary one.
class ForeignContext {
  public:
    ForeignContext() {
        const auto create =
            driver_function<CUresult(CUcontext*, unsigned, CUdevice)>("cuCtxCreate");
        assert_int_equal(create(&context_, 0, 0), CUDA_SUCCESS);  // now current
    }
    ~ForeignContext() {
        driver_function<decltype(cuCtxDestroy)>("cuCtxDestroy")(context_);
        check(cudaSetDevice(0), "cudaSetDevice");
    }
    void expect_current(const char* step) const {
        CUcontext current = nullptr;
        driver_function<decltype(cuCtxGetCurrent)>("cuCtxGetCurrent")(&current);
        if (current != context_) fail_msg("%s: another context is current", step);
    }

  private:
    CUcontext context_ = nullptr;
};

void a_foreign_context_stays_current(void** /*state*/) {
    const std::vector<uint16_t> expected = load_run_unload();
    const ForeignContext foreign;
    {
        const Library library;
        foreign.expect_current("load");
        const Layer layer(library);
        foreign.expect_current("bundle");
        mmoe_executor* executor = layer.make_executor();
        foreign.expect_current("executor");
        cudaStream_t stream = nullptr;
        check(cudaStreamCreate(&stream), "stream");
        Operands operands;
        operands.enqueue(library, executor, layer, stream);
        foreign.expect_current("run");
        assert_true(operands.output(stream) == expected);
        check(cudaStreamDestroy(stream), "stream");
        library.executor_destroy(executor);
        foreign.expect_current("destroy");
    }
    foreign.expect_current("unload");
}

void graphs_replay_the_same_bits(void** /*state*/) {
    constexpr int kReplays = 1000;
    const Library library;
    const Layer layer(library);
    mmoe_executor* executor = layer.make_executor();
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "stream");
    Operands operands;
    operands.enqueue(library, executor, layer, stream);
    const std::vector<uint16_t> expected = operands.output(stream);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin capture");
    operands.enqueue(library, executor, layer, stream);
    check(cudaStreamEndCapture(stream, &graph), "end capture");
    check(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    for (int replay = 0; replay < kReplays; ++replay) {
        operands.poison(stream);
        check(cudaGraphLaunch(executable, stream), "launch");
        if (operands.output(stream) != expected) fail_msg("replay %d differs", replay);
    }
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
    check(cudaStreamDestroy(stream), "stream");
    library.executor_destroy(executor);
}

// Threads that share a bundle, each with its own executor and stream.
void executors_run_side_by_side(void** /*state*/) {
    constexpr int kThreads = 4;
    constexpr int kRuns = 50;
    const Library library;
    const Layer layer(library);
    const std::vector<uint16_t> expected = run_once(library, layer, nullptr);
    int wrong[kThreads] = {};
    std::vector<std::thread> threads;
    for (int& own : wrong) {
        threads.emplace_back([&] {
            cudaStream_t stream = nullptr;
            check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "stream");
            mmoe_executor* executor = layer.make_executor();
            Operands operands;
            for (int run = 0; run < kRuns; ++run) {
                operands.poison(stream);
                operands.enqueue(library, executor, layer, stream);
                own += operands.output(stream) != expected ? 1 : 0;
            }
            library.executor_destroy(executor);
            check(cudaStreamDestroy(stream), "stream");
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const int own : wrong) assert_int_equal(own, 0);
}

}  // namespace

int main(int argc, char** argv) {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    if (argc > 1) library_name = argv[1];
    const CMUnitTest tests[] = {
        cmocka_unit_test(graphs_replay_the_same_bits),
        cmocka_unit_test(executors_run_side_by_side),
        cmocka_unit_test(a_foreign_context_stays_current),
        cmocka_unit_test(a_thousand_lives_lose_nothing),
    };
    return cmocka_run_group_tests_name("cuda_life", tests, nullptr, nullptr);
}
