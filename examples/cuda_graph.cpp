// SPDX-License-Identifier: Apache-2.0
// A layer on a CUDA stream of the program's own, eagerly and captured in a graph. Needs the CUDA
// runtime for memory and streams, no nvcc. Where there is no usable GPU it says why and ends with
// 77. Ends with 1 unless the graph's replays give the bits of the eager run.
//
//     c++ -std=c++20 cuda_graph.cpp -lmarlin_moe -lcudart;  ./a.out path/to/model
//
// If the compiler does not find the CUDA runtime:
//     export CPATH=$CPATH:/usr/local/cuda/include LIBRARY_PATH=$LIBRARY_PATH:/usr/local/cuda/lib64
#include <cuda_runtime.h>
#include <marlin_moe.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

constexpr int kSkipped = 77;
constexpr uint32_t kTokens = 4;  // T
constexpr uint32_t kTopK = 2;
constexpr int kReplays = 3;

void check(mmoe_status status, const mmoe_error& error) {
    if (status != MMOE_OK) throw std::runtime_error(error.message);
}

void check(cudaError_t status) {
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

template <class Structure>
Structure sized() {
    Structure structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

// A [rows, columns] array on the device, filled from the host.
template <class Element>
class DeviceMatrix {
  public:
    DeviceMatrix(const std::vector<Element>& host, mmoe_dtype dtype, uint32_t rows)
        : size_bytes_(host.size() * sizeof(Element)) {
        check(cudaMalloc(&view_.data, size_bytes_));
        check(cudaMemcpy(view_.data, host.data(), size_bytes_, cudaMemcpyHostToDevice));
        view_.dtype = dtype;
        view_.rank = 2;
        view_.shape[0] = rows;
        view_.shape[1] = static_cast<int64_t>(host.size() / rows);
    }
    ~DeviceMatrix() { cudaFree(view_.data); }
    DeviceMatrix(const DeviceMatrix&) = delete;
    DeviceMatrix& operator=(const DeviceMatrix&) = delete;

    [[nodiscard]] const mmoe_tensor& view() const { return view_; }
    [[nodiscard]] std::vector<Element> read() const {
        std::vector<Element> host(size_bytes_ / sizeof(Element));
        check(cudaMemcpy(host.data(), view_.data, size_bytes_, cudaMemcpyDeviceToHost));
        return host;
    }
    void clear(cudaStream_t stream) { check(cudaMemsetAsync(view_.data, 0, size_bytes_, stream)); }

  private:
    size_t size_bytes_;
    mmoe_tensor view_{};
};

// Everything that a run needs; what a captured graph points to lives as long as this.
struct Layer {
    mmoe_context* context = nullptr;
    mmoe_bundle* bundle = nullptr;
    mmoe_executor* executor = nullptr;
    uint32_t hidden_size = 0;

    explicit Layer(const char* path) {
        auto cuda = sized<mmoe_context_options>();
        cuda.device_kind = MMOE_DEVICE_CUDA;
        mmoe_error error{};
        mmoe_checkpoint* model = nullptr;
        check(mmoe_context_create(&cuda, &context, &error), error);
        check(mmoe_checkpoint_open(context, path, nullptr, &model, &error), error);
        check(mmoe_bundle_load(context, model, 0, nullptr, &bundle, &error), error);
        mmoe_checkpoint_destroy(model);
        auto layer = sized<mmoe_layer>();
        check(mmoe_bundle_info(bundle, &layer, nullptr, &error), error);
        hidden_size = layer.hidden_size;
        auto limits = sized<mmoe_executor_options>();
        limits.max_tokens = kTokens;
        limits.max_top_k = kTopK;
        limits.hidden_dtype = MMOE_DTYPE_BF16;
        check(mmoe_executor_create(context, bundle, &limits, &executor, &error), error);
    }
    ~Layer() {
        mmoe_executor_destroy(executor);
        mmoe_bundle_destroy(bundle);
        mmoe_context_destroy(context);
    }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;
};

// [cuda graph]
// Enqueues one run; allocates nothing and does not wait, so that it may be captured.
void enqueue(const Layer& layer, const mmoe_run_args& args, cudaStream_t stream) {
    mmoe_error error{};
    check(mmoe_executor_run(layer.executor, layer.bundle, &args, stream, &error), error);
}

cudaGraphExec_t capture(const Layer& layer, const mmoe_run_args& args, cudaStream_t stream) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replayable = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    enqueue(layer, args, stream);
    check(cudaStreamEndCapture(stream, &graph));
    check(cudaGraphInstantiate(&replayable, graph, 0));
    check(cudaGraphDestroy(graph));
    return replayable;
}
// [cuda graph]

bool run(const char* path) {
    const Layer layer(path);
    std::vector<uint16_t> ones(size_t{kTokens} * layer.hidden_size, 0x3F80);  // 1.0 in bf16
    DeviceMatrix<uint16_t> hidden(ones, MMOE_DTYPE_BF16, kTokens),
        output(ones, MMOE_DTYPE_BF16, kTokens);
    const DeviceMatrix<int32_t> ids({0, 1, 1, 2, 2, 3, 3, 0}, MMOE_DTYPE_I32, kTokens);
    const DeviceMatrix<float> weights({0.5F, 0.5F, 0.9F, 0.1F, 0.7F, 0.3F, 1, 0}, MMOE_DTYPE_F32,
                                      kTokens);
    auto args = sized<mmoe_run_args>();
    args.hidden = hidden.view();
    args.expert_ids = ids.view();
    args.expert_weights = weights.view();
    args.output = output.view();

    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    enqueue(layer, args, stream);
    check(cudaStreamSynchronize(stream));
    const std::vector<uint16_t> eager = output.read();

    cudaGraphExec_t graph = capture(layer, args, stream);
    bool ok = eager != ones;
    for (int replay = 0; replay < kReplays; ++replay) {
        output.clear(stream);
        check(cudaGraphLaunch(graph, stream));
        check(cudaStreamSynchronize(stream));
        ok = ok && output.read() == eager;
    }
    check(cudaGraphExecDestroy(graph));
    check(cudaStreamDestroy(stream));
    std::printf("%d replays of the graph: %s\n", kReplays,
                ok ? "equal to the eager run" : "DIFFERENT");
    return ok;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL_DIRECTORY\n", argv[0]);
        return 2;
    }
    mmoe_error error{};
    uint32_t count = 0;
    if (mmoe_device_count(MMOE_DEVICE_CUDA, &count, &error) != MMOE_OK) {
        std::printf("skipped: %s\n", error.message);
        return kSkipped;
    }
    try {
        return run(argv[1]) ? 0 : 1;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "%s\n", failure.what());
        return 1;
    }
}
