// SPDX-License-Identifier: Apache-2.0
// Times one MoE layer on the device at the shapes and token counts of the public comparisons, and
// writes one CSV row a point.
//
// Method: every timed graph runs over several sets of weights, so that they come from memory and
// not from the L2 cache; layers follow each other without overlap; median over graph replays.
// Before timing, two tokens of each point are compared with a double computation on the device.
//
//     cuda_bench [most tokens] [bits] [symmetric 0|1] [part of a shape's name] [least tokens]
//                [part of rows' names, or -: time these rows instead of the chosen one]
//                [group size, 0: one scale a channel]
//
// MMOE_GPU_ROW is a part of the names of the rows to choose from.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "cuda/launch.h"
#include "cuda/number.h"

namespace {

using namespace mmoe;
using cuda::Element;

constexpr double kRotatedBytes = 400e6;

void check(int status, const char* what) {
    if (status == cudaSuccess) return;
    std::printf("%s: %s\n", what, cudaGetErrorString(static_cast<cudaError_t>(status)));
    std::exit(1);
}

struct Shape {
    const char* name;
    int experts, top_k, hidden, intermediate;
};

constexpr Shape kShapes[] = {
    {"qwen3-30b", 128, 8, 2048, 768},
    {"qwen3.5-122b", 256, 8, 3072, 1024},
    {"mixtral-8x7b", 8, 2, 4096, 14336},
    {"deepseek-v3", 256, 8, 7168, 2048},
};

// What the card's memory does just now: a copy of 1 GiB, bytes read and written.
void probe_bandwidth() {
    constexpr size_t kBytes = size_t{1} << 30;
    constexpr int kCopies = 10;
    void* blocks[2];
    cudaEvent_t begin;
    cudaEvent_t end;
    float milliseconds = 0;
    for (void*& block : blocks) check(cudaMalloc(&block, kBytes), "cudaMalloc");
    check(cudaEventCreate(&begin), "event");
    check(cudaEventCreate(&end), "event");
    for (int copy = -1; copy < kCopies; ++copy) {
        if (copy == 0) check(cudaEventRecord(begin), "event");
        check(cudaMemcpyAsync(blocks[0], blocks[1], kBytes, cudaMemcpyDeviceToDevice), "copy");
    }
    check(cudaEventRecord(end), "event");
    check(cudaEventSynchronize(end), "copy");
    check(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    std::fprintf(stderr, "copies at %.0f GB/s\n", 2.0 * kBytes * kCopies / milliseconds / 1e6);
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    for (void* block : blocks) cudaFree(block);
}

// ---- Data ------------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t hash(uint64_t value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdull;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ull;
    return static_cast<uint32_t>(value ^ (value >> 33));
}

__global__ void fill_words(uint32_t* out, int64_t count, uint64_t seed) {
    for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
         i += int64_t{gridDim.x} * blockDim.x) {
        out[i] = hash(seed * 0x9E3779B97F4A7C15ull + i);
    }
}

// bf16 in [low, high).
__global__ void fill_numbers(uint16_t* out, int64_t count, uint64_t seed, float low, float high) {
    for (int64_t i = blockIdx.x * int64_t{blockDim.x} + threadIdx.x; i < count;
         i += int64_t{gridDim.x} * blockDim.x) {
        const float unit = (hash(seed * 77777777ull + i) & 0xFFFF) / 65536.0F;
        out[i] = cuda::Bf16::narrow(low + unit * (high - low));
    }
}

template <class T>
T* allocate(int64_t count) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, static_cast<size_t>(count) * sizeof(T)), "cudaMalloc");
    return static_cast<T*>(memory);
}

struct Options {
    int most_tokens = 8192;
    int bits = 4;
    bool symmetric = false;
    const char* shape = "";
    int least_tokens = 1;
    const char* row = "-";
    int group = 128;
};

cuda::Matrix make_matrix(int experts, int inputs, int outputs, const Options& options,
                         uint64_t seed) {
    cuda::Matrix matrix;
    matrix.bits = options.bits;
    matrix.inputs = inputs;
    matrix.outputs = outputs;
    matrix.group_size = options.group != 0 ? options.group : inputs;
    if (options.group == 0) matrix.scale_order = layout::MarlinScaleOrder::kSingle;
    const int64_t words = int64_t{inputs} * outputs * matrix.bits / 32;
    matrix.tile_row_stride_bytes = 128 * matrix.bits;  // the order of a bundle: [N/64][K/16]
    matrix.tile_stride_bytes = matrix.tile_row_stride_bytes * (inputs / 16);
    matrix.expert_stride_bytes = 4 * words;
    auto* codes = allocate<uint32_t>(experts * words);
    fill_words<<<1024, 256>>>(codes, experts * words, seed);
    const int64_t scale_count = int64_t{experts} * matrix.groups() * outputs;
    const float unit = 2.0F / ((1 << options.bits) * std::sqrt(static_cast<float>(inputs)));
    auto* scales = allocate<uint16_t>(scale_count);
    fill_numbers<<<1024, 256>>>(scales, scale_count, seed + 1, unit, 3 * unit);
    matrix.codes = codes;
    matrix.scales = scales;
    if (!options.symmetric) {
        const int64_t zero_words = scale_count * matrix.bits / 32;
        auto* zeros = allocate<uint32_t>(zero_words);
        fill_words<<<1024, 256>>>(zeros, zero_words, seed + 2);
        matrix.zero_points = zeros;
    }
    check(cudaGetLastError(), "fill");
    return matrix;
}

void release(const cuda::Matrix& matrix) {
    cudaFree(const_cast<void*>(matrix.codes));
    cudaFree(const_cast<void*>(matrix.scales));
    cudaFree(const_cast<uint32_t*>(matrix.zero_points));
}

cuda::Layer make_layer(const Shape& shape, const Options& options, uint64_t seed) {
    cuda::Layer layer;
    layer.expert_count = shape.experts;
    layer.global_expert_count = shape.experts;
    layer.hidden_size = shape.hidden;
    layer.intermediate_size = shape.intermediate;
    layer.limit = 1e30F;
    layer.w13 =
        make_matrix(shape.experts, shape.hidden, 2 * shape.intermediate, options, seed * 10);
    layer.w2 = make_matrix(shape.experts, shape.intermediate, shape.hidden, options, seed * 10 + 5);
    return layer;
}

// ---- Reference: one slot in double, from the Marlin order by its formula -----------------------

__device__ double weight_at(const cuda::Matrix& matrix, int64_t expert, int64_t k, int64_t n) {
    const auto tile = layout::MarlinTile::kK16N64;
    const int bits = matrix.bits;
    const uint32_t mask = (1u << bits) - 1;
    const auto place = layout::marlin_place_in_tile(k % 16, n % 64, bits, tile);
    const auto* codes = reinterpret_cast<const uint32_t*>(
        static_cast<const uint8_t*>(matrix.codes) + expert * matrix.expert_stride_bytes +
        k / 16 * matrix.tile_row_stride_bytes + n / 64 * matrix.tile_stride_bytes);
    const uint32_t code = (codes[place.word] >> (place.field * bits)) & mask;
    const int64_t row = expert * matrix.groups() + k / matrix.group_size;
    uint32_t zero = 1u << (bits - 1);
    if (matrix.zero_points != nullptr) {
        const auto at = layout::marlin_zero_point_place(n, bits, tile);
        const int64_t row_words = int64_t{matrix.outputs} * bits / 32;
        zero = (matrix.zero_points[row * row_words + at.word] >> (at.field * bits)) & mask;
    }
    const int64_t scale = row * matrix.outputs + layout::marlin_scale_place(n, matrix.scale_order);
    return (static_cast<double>(code) - zero) *
           cuda::Bf16::widen(static_cast<const uint16_t*>(matrix.scales)[scale]);
}

__global__ void reference_middle(cuda::Layer layer, const uint16_t* hidden, const int32_t* ids,
                                 int64_t first_slot, int top_k, double* middle) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= layer.intermediate_size) return;
    const int64_t slot = first_slot + blockIdx.y;
    const uint16_t* x = hidden + slot / top_k * layer.hidden_size;
    double gate = 0;
    double up = 0;
    for (int k = 0; k < layer.hidden_size; ++k) {
        const double value = cuda::Bf16::widen(x[k]);
        gate += value * weight_at(layer.w13, ids[slot], k, i);
        up += value * weight_at(layer.w13, ids[slot], k, layer.intermediate_size + i);
    }
    middle[blockIdx.y * int64_t{layer.intermediate_size} + i] = gate / (1 + exp(-gate)) * up;
}

__global__ void reference_output(cuda::Layer layer, const double* middle, const int32_t* ids,
                                 const float* weights, int64_t first_slot, int top_k,
                                 double* output) {
    const int h = blockIdx.x * blockDim.x + threadIdx.x;
    if (h >= layer.hidden_size) return;
    double sum = 0;
    for (int j = 0; j < top_k; ++j) {
        double down = 0;
        for (int i = 0; i < layer.intermediate_size; ++i) {
            down += middle[j * int64_t{layer.intermediate_size} + i] *
                    weight_at(layer.w2, ids[first_slot + j], i, h);
        }
        sum += weights[first_slot + j] * down;
    }
    output[h] = sum;
}

double token_error(const cuda::Layer& layer, const cuda::Run& run, int64_t token) {
    static double* middle = allocate<double>(8 * 16384);
    static double* output = allocate<double>(16384);
    const int64_t slot = token * run.top_k;
    const dim3 grid((layer.intermediate_size + 63) / 64, run.top_k);
    reference_middle<<<grid, 64>>>(layer, static_cast<const uint16_t*>(run.hidden), run.expert_ids,
                                   slot, run.top_k, middle);
    reference_output<<<(layer.hidden_size + 63) / 64, 64>>>(
        layer, middle, run.expert_ids, run.expert_weights, slot, run.top_k, output);
    std::vector<double> expected(layer.hidden_size);
    std::vector<uint16_t> got(layer.hidden_size);
    check(cudaMemcpy(expected.data(), output, expected.size() * 8, cudaMemcpyDeviceToHost),
          "reference");
    check(cudaMemcpy(got.data(), static_cast<uint16_t*>(run.output) + token * layer.hidden_size,
                     got.size() * 2, cudaMemcpyDeviceToHost),
          "output");
    double difference = 0;
    double norm = 0;
    for (size_t h = 0; h < got.size(); ++h) {
        const double value = layout::bf16_to_f32(got[h]);
        difference += (value - expected[h]) * (value - expected[h]);
        norm += expected[h] * expected[h];
    }
    return std::sqrt(difference / norm);
}

// ---- Timing ----------------------------------------------------------------------------------

struct Point {
    double median, low, high;  // us a layer
};

struct Bench {
    const Shape& shape;
    const Options& options;
    cuda::Device device;
    cudaStream_t stream;
    std::vector<cuda::Layer> layers;
    std::vector<int32_t*> ids;  // one routing a layer
    cuda::Run run;
    void* workspace;
    const cuda::Row* row = nullptr;
};

double active_bytes(const Shape& shape, int tokens, int bits) {
    const double chosen = 1 - std::pow(1 - double(shape.top_k) / shape.experts, tokens);
    return chosen * shape.experts * 3.0 * shape.hidden * shape.intermediate * bits / 8;
}

size_t layer_sets(const Shape& shape, int tokens, int bits) {
    const double sets = std::ceil(kRotatedBytes / active_bytes(shape, tokens, bits));
    return static_cast<size_t>(std::clamp(sets, 2.0, 24.0));
}

void fill_routing(const Bench& bench, int tokens, int32_t* device_ids, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<int32_t> ids;
    std::vector<int32_t> order(bench.shape.experts);
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    for (int token = 0; token < tokens; ++token) {
        for (int j = 0; j < bench.shape.top_k; ++j) {
            std::swap(order[j], order[j + random() % (order.size() - j)]);
            ids.push_back(order[j]);
        }
    }
    check(cudaMemcpy(device_ids, ids.data(), ids.size() * 4, cudaMemcpyHostToDevice), "ids");
}

void enqueue(Bench& bench, size_t layer) {
    bench.run.expert_ids = bench.ids[layer];
    check(cuda::run_layer_with(*bench.row, bench.device, bench.layers[layer], bench.run,
                               bench.workspace, bench.stream),
          "run_layer");
}

cudaGraphExec_t capture(Bench& bench, size_t sets, size_t layers) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamBeginCapture(bench.stream, cudaStreamCaptureModeGlobal), "capture");
    for (size_t i = 0; i < layers; ++i) enqueue(bench, i % sets);
    check(cudaStreamEndCapture(bench.stream, &graph), "capture");
    check(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    cudaGraphDestroy(graph);
    return executable;
}

float replay(Bench& bench, cudaGraphExec_t graph, cudaEvent_t begin, cudaEvent_t end) {
    float milliseconds = 0;
    check(cudaEventRecord(begin, bench.stream), "event");
    check(cudaGraphLaunch(graph, bench.stream), "replay");
    check(cudaEventRecord(end, bench.stream), "event");
    check(cudaEventSynchronize(end), "replay");
    check(cudaEventElapsedTime(&milliseconds, begin, end), "event");
    return milliseconds;
}

Point time_layers(Bench& bench, size_t sets, double estimate_us) {
    size_t layers = sets;
    while (layers < 12 && layers * estimate_us < 3000) layers += sets;
    cudaGraphExec_t graph = capture(bench, sets, layers);
    cudaEvent_t begin;
    cudaEvent_t end;
    check(cudaEventCreate(&begin), "event");
    check(cudaEventCreate(&end), "event");
    replay(bench, graph, begin, end);
    std::vector<double> times;
    for (double spent = 0; spent < 40 || times.size() < 8;) {
        const float milliseconds = replay(bench, graph, begin, end);
        spent += milliseconds;
        times.push_back(milliseconds * 1e3 / static_cast<double>(layers));
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaGraphExecDestroy(graph);
    std::sort(times.begin(), times.end());
    return {times[times.size() / 2], times[times.size() / 10], times[times.size() * 9 / 10]};
}

// The rows to be timed: those named that can serve, or the chosen one.
std::vector<const cuda::Row*> pick_rows(const Bench& bench) {
    const cuda::Problem problem = cuda::describe(bench.device, bench.layers[0], bench.run);
    const std::string part = bench.options.row;
    if (part == "-") return {cuda::choose(problem)};
    std::vector<const cuda::Row*> picked;
    for (const cuda::Row& row : cuda::rows()) {
        if (std::strstr(row.name, part.c_str()) == nullptr) continue;
        if (row.refuse(problem) == nullptr) picked.push_back(&row);
    }
    return picked;
}

void print_point(const Bench& bench, int tokens, const Point& point, double error) {
    char date[16];
    const std::time_t now = std::time(nullptr);
    std::strftime(date, sizeof date, "%Y-%m-%d", std::gmtime(&now));
    const char* commit = std::getenv("MMOE_COMMIT");
    const char* clocks = std::getenv("MMOE_CLOCKS");
    cudaDeviceProp properties = {};
    check(cudaGetDeviceProperties(&properties, 0), "properties");
    const Options& options = bench.options;
    std::printf("%s,%s,%s,%s,%s,%d,%d,%d,bf16,%d,%.2f,%.2f,%.2f,%.2e,%s\n", date,
                commit != nullptr ? commit : "", properties.name, clocks != nullptr ? clocks : "",
                bench.shape.name, options.bits, options.symmetric ? 1 : 0, options.group, tokens,
                point.median, point.low, point.high, error, bench.row->name);
    std::fflush(stdout);
}

void time_tokens(Bench& bench, int tokens) {
    const size_t sets = layer_sets(bench.shape, tokens, bench.options.bits);
    for (size_t i = 0; i < sets; ++i) fill_routing(bench, tokens, bench.ids[i], tokens * 31 + i);
    bench.run.tokens = tokens;
    const double estimate = active_bytes(bench.shape, tokens, bench.options.bits) / 3e6;
    for (const cuda::Row* row : pick_rows(bench)) {
        bench.row = row;
        enqueue(bench, 0);
        check(cudaStreamSynchronize(bench.stream), "first run");
        const double error = std::max(token_error(bench.layers[0], bench.run, 0),
                                      token_error(bench.layers[0], bench.run, tokens - 1));
        print_point(bench, tokens, time_layers(bench, sets, estimate), error);
    }
}

void time_shape(const Shape& shape, const Options& options, const cuda::Device& device) {
    Bench bench = {shape, options, device, nullptr, {}, {}, {}, nullptr};
    check(cudaStreamCreate(&bench.stream), "stream");
    const size_t sets = layer_sets(shape, options.least_tokens, options.bits);
    for (size_t i = 0; i < sets; ++i) {
        bench.layers.push_back(make_layer(shape, options, i + 1));
        bench.ids.push_back(allocate<int32_t>(int64_t{options.most_tokens} * shape.top_k));
    }
    const int64_t hidden_count = int64_t{options.most_tokens} * shape.hidden;
    auto* hidden = allocate<uint16_t>(hidden_count);
    fill_numbers<<<1024, 256>>>(hidden, hidden_count, 99, -1.7F, 1.8F);
    auto* weights = allocate<float>(int64_t{options.most_tokens} * shape.top_k);
    std::vector<float> host(static_cast<size_t>(options.most_tokens) * shape.top_k);
    for (size_t i = 0; i < host.size(); ++i) host[i] = 0.05F + static_cast<float>(i % 97) / 400.0F;
    check(cudaMemcpy(weights, host.data(), host.size() * 4, cudaMemcpyHostToDevice), "weights");
    bench.run.top_k = shape.top_k;
    bench.run.hidden = hidden;
    bench.run.hidden_stride = shape.hidden;
    bench.run.expert_weights = weights;
    bench.run.output = allocate<uint16_t>(hidden_count);
    bench.run.output_stride = shape.hidden;
    const size_t bytes = cuda::workspace_bytes(bench.layers[0], options.most_tokens, shape.top_k);
    bench.workspace = allocate<uint8_t>(static_cast<int64_t>(bytes));
    check(cudaMemset(bench.workspace, 0, bytes), "workspace");
    for (int tokens = options.least_tokens; tokens <= options.most_tokens; tokens *= 2) {
        time_tokens(bench, tokens);
    }
    for (const cuda::Layer& layer : bench.layers) {
        release(layer.w13);
        release(layer.w2);
    }
    for (int32_t* ids : bench.ids) cudaFree(ids);
    cudaFree(hidden);
    cudaFree(weights);
    cudaFree(bench.run.output);
    cudaFree(bench.workspace);
    cudaStreamDestroy(bench.stream);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (argc > 1) options.most_tokens = std::atoi(argv[1]);
    if (argc > 2) options.bits = std::atoi(argv[2]);
    if (argc > 3) options.symmetric = std::atoi(argv[3]) != 0;
    if (argc > 4) options.shape = argv[4];
    if (argc > 5) options.least_tokens = std::atoi(argv[5]);
    if (argc > 6) options.row = argv[6];
    if (argc > 7) options.group = std::atoi(argv[7]);
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
        std::printf("skipped: no CUDA device\n");
        return 77;
    }
    cudaDeviceProp properties = {};
    check(cudaGetDeviceProperties(&properties, 0), "properties");
    cuda::Device device = {properties.multiProcessorCount, 10 * properties.major + properties.minor,
                           static_cast<int32_t>(properties.sharedMemPerBlockOptin)};
    const char* part = std::getenv("MMOE_GPU_ROW");
    for (size_t i = 0; i < cuda::rows().size() && part != nullptr; ++i) {
        if (std::strstr(cuda::rows()[i].name, part) == nullptr) {
            device.distrusted_rows |= uint64_t{1} << i;
        }
    }
    check(cuda::prepare(device.distrusted_rows), "prepare");
    probe_bandwidth();
    std::printf(
        "date,commit,card,clocks,shape,bits,symmetric,group_size,dtype,tokens,us_median,"
        "us_p10,us_p90,rel_err,row\n");
    for (const Shape& shape : kShapes) {
        if (std::strstr(shape.name, options.shape) != nullptr) time_shape(shape, options, device);
    }
    return 0;
}
