// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels against plain loops in double: every row, every feature of the contract,
// unfriendly shapes; the same bits eagerly, again and in a replayed graph.
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cmocka_cpp.h"
#include "layer_case.h"

namespace {

using namespace mmoe;
using namespace mmoe::test;
using cuda::Activation;
using cuda::Element;
using layout::ScaleType;

// 16-bit hidden states, intermediates, slot results and outputs, each rounded once: 2^-9 a step
// for bf16, a little more than vLLM's Marlin has.
constexpr double kTolerance = 5e-3;
// A row that rounds weights too, as vLLM's Marlin does, may have the error that Marlin was seen to
// have.
constexpr double kRoundedTolerance = 7.2e-3;

const LayerCase kCases[] = {
    {.name = "one token", .tokens = 1},
    {.name = "tokens end mid-tile", .tokens = 67, .experts = 3},
    {.name = "tile of 16", .tokens = 40, .experts = 8, .top_k = 2},
    {.name = "tile of 32", .tokens = 75, .experts = 8, .top_k = 2},
    {.name = "tile of 64", .tokens = 300, .experts = 8, .top_k = 2},
    {.name = "all on one expert", .tokens = 90, .routing = Routing::kOneExpert},
    {.name = "some skipped", .tokens = 33, .routing = Routing::kSkipSome},
    {.name = "all skipped", .tokens = 5, .routing = Routing::kAllSkipped},
    {.name = "expert map", .tokens = 33, .routing = Routing::kMapped},
    {.name = "a rank's experts", .tokens = 33, .experts = 8, .first_expert = 2, .local_experts = 3},
    {.name = "many experts",
     .tokens = 9,
     .experts = 896,
     .top_k = 16,
     .hidden = 64,
     .intermediate = 64,
     .group = 32},
    {.name = "group 16", .tokens = 20, .group = 16},
    {.name = "group 32", .tokens = 20, .group = 32},
    {.name = "group 48", .tokens = 20, .hidden = 288, .intermediate = 192, .group = 48},
    {.name = "group 128", .tokens = 20, .group = 128},
    {.name = "channelwise", .tokens = 20, .group = 0},
    {.name = "channelwise symmetric", .tokens = 20, .group = 0, .asymmetric = false},
    {.name = "symmetric", .tokens = 20, .asymmetric = false},
    {.name = "group as wide as I", .tokens = 20, .intermediate = 64, .group = 64},
    {.name = "I padded", .tokens = 20, .hidden = 320, .intermediate = 96, .group = 32},
    {.name = "H padded", .tokens = 20, .hidden = 176, .intermediate = 80, .group = 16},
    {.name = "H odd", .tokens = 20, .hidden = 100, .intermediate = 64, .group = 0},
    {.name = "int8 bf16", .tokens = 20, .bits = 8},
    {.name = "int8 bf16 symmetric", .tokens = 70, .bits = 8, .asymmetric = false},
    {.name = "int8 bf16 tile of 64", .tokens = 300, .bits = 8},
    {.name = "int8 f16",
     .tokens = 20,
     .bits = 8,
     .hidden_type = Element::kF16,
     .output_type = Element::kF16,
     .scale_type = ScaleType::kF16},
    {.name = "int8 f16 tile of 64",
     .tokens = 300,
     .bits = 8,
     .hidden_type = Element::kF16,
     .output_type = Element::kF16},
    {.name = "f16",
     .tokens = 20,
     .hidden_type = Element::kF16,
     .output_type = Element::kF16,
     .scale_type = ScaleType::kF16},
    {.name = "f16 one token",
     .tokens = 1,
     .hidden_type = Element::kF16,
     .output_type = Element::kF32},
    {.name = "f16 tile of 64",
     .tokens = 300,
     .hidden_type = Element::kF16,
     .output_type = Element::kF16},
    {.name = "f32 in, f32 out, f32 scales",
     .tokens = 20,
     .hidden_type = Element::kF32,
     .output_type = Element::kF32,
     .scale_type = ScaleType::kF32},
    {.name = "gelu", .tokens = 20, .activation = Activation::kGelu},
    {.name = "gelu tanh", .tokens = 20, .activation = Activation::kGeluTanh},
    {.name = "relu2, not gated", .tokens = 20, .activation = Activation::kRelu2, .gated = false},
    {.name = "not gated, odd tile count", .tokens = 20, .intermediate = 192, .gated = false},
    {.name = "not gated, limit below the up of 1, beta",
     .tokens = 20,
     .beta = 1.0F,
     .limit = 0.25F,
     .gated = false,
     .bias = true},
    {.name = "swigluoai, clamped, biases",
     .tokens = 20,
     .alpha = 1.702F,
     .beta = 1.0F,
     .limit = 0.7F,
     .bias = true},
    {.name = "router weight on input",
     .tokens = 20,
     .top_k = 1,
     .bias = true,
     .weight_on_input = true},
    {.name = "vLLM's order", .tokens = 20, .column_blocks = false},
    {.name = "wide, many tiles",
     .tokens = 700,
     .experts = 5,
     .top_k = 2,
     .hidden = 512,
     .intermediate = 384,
     .group = 128},
    {.name = "wide, group 192, part of a block",
     .tokens = 150,
     .hidden = 576,
     .intermediate = 192,
     .group = 192},
    {.name = "cut along K",
     .tokens = 100,
     .experts = 3,
     .hidden = 1088,
     .intermediate = 832,
     .group = 64},
    {.name = "cut inside a group",
     .tokens = 100,
     .experts = 3,
     .hidden = 1024,
     .intermediate = 1024,
     .group = 512},
    {.name = "cut, channelwise",
     .tokens = 100,
     .experts = 3,
     .hidden = 832,
     .intermediate = 896,
     .group = 0},
    {.name = "wide, group 32",
     .tokens = 300,
     .experts = 3,
     .hidden = 384,
     .intermediate = 192,
     .group = 32},
    {.name = "wide, group 96, symmetric",
     .tokens = 200,
     .hidden = 384,
     .intermediate = 192,
     .group = 96,
     .asymmetric = false},
    {.name = "wide, int8 group 32",
     .tokens = 150,
     .hidden = 256,
     .intermediate = 192,
     .group = 32,
     .bits = 8},
    {.name = "many slots, some skipped",
     .tokens = 2500,
     .experts = 40,
     .hidden = 64,
     .intermediate = 64,
     .routing = Routing::kSkipSome},
    {.name = "wide, not gated, biases, relu2",
     .tokens = 200,
     .intermediate = 320,
     .activation = Activation::kRelu2,
     .gated = false,
     .bias = true},
    {.name = "activation order", .tokens = 20, .hidden_order = true},
    {.name = "activation order, H padded, some skipped",
     .tokens = 70,
     .hidden = 176,
     .intermediate = 80,
     .group = 16,
     .hidden_order = true,
     .routing = Routing::kSkipSome},
    {.name = "one token, group 128",
     .tokens = 1,
     .experts = 16,
     .top_k = 8,
     .hidden = 512,
     .intermediate = 384,
     .group = 128,
     .bias = true},
    {.name = "one token, group 256, symmetric, vLLM's order",
     .tokens = 1,
     .experts = 8,
     .top_k = 4,
     .hidden = 512,
     .intermediate = 256,
     .group = 256,
     .asymmetric = false,
     .column_blocks = false},
    {.name = "one token, group 32, f16, more slots than warps",
     .tokens = 1,
     .experts = 32,
     .top_k = 20,
     .group = 32,
     .hidden_type = Element::kF16,
     .output_type = Element::kF16,
     .scale_type = ScaleType::kF16},
    {.name = "one token, group 128, as many slots as its row takes",
     .tokens = 1,
     .experts = 40,
     .top_k = 32,
     .group = 128},
    {.name = "one token, channelwise, slots in halves",
     .tokens = 1,
     .experts = 8,
     .top_k = 5,
     .hidden = 3072,
     .group = 0,
     .bias = true},
    {.name = "one token, group 128, slots in halves, weight on input",
     .tokens = 1,
     .top_k = 1,
     .hidden = 3072,
     .group = 128,
     .bias = true,
     .weight_on_input = true},
    {.name = "one token, not gated, relu2",
     .tokens = 1,
     .hidden = 1024,
     .intermediate = 384,
     .group = 128,
     .activation = Activation::kRelu2,
     .gated = false,
     .bias = true},
    {.name = "one token, swigluoai, f32",
     .tokens = 1,
     .group = 128,
     .hidden_type = Element::kF32,
     .output_type = Element::kF32,
     .alpha = 1.702F,
     .beta = 1.0F,
     .limit = 0.7F,
     .bias = true},
    {.name = "one token, some skipped",
     .tokens = 1,
     .experts = 16,
     .top_k = 9,
     .group = 128,
     .routing = Routing::kSkipSome},
    {.name = "one token, all skipped", .tokens = 1, .group = 128, .routing = Routing::kAllSkipped},
    {.name = "one token, expert map",
     .tokens = 1,
     .top_k = 4,
     .group = 128,
     .routing = Routing::kMapped},
    {.name = "one token, a rank's experts",
     .tokens = 1,
     .experts = 16,
     .top_k = 8,
     .group = 128,
     .first_expert = 5,
     .local_experts = 6},
    {.name = "one token, misaligned hidden states", .tokens = 1, .group = 128, .hidden_padding = 3},
    {.name = "strided hidden states", .tokens = 20, .hidden_padding = 8},
    {.name = "misaligned hidden states", .tokens = 20, .hidden_padding = 3},
};

void check(int status, const char* what) {
    if (status == cudaSuccess) return;
    fail_msg("%s: %s", what, cudaGetErrorString(static_cast<cudaError_t>(status)));
}

// Device memory of one case, freed with it.
class DeviceArena {
  public:
    ~DeviceArena() {
        for (void* block : blocks_) cudaFree(block);
    }
    void* take(size_t bytes, int fill) {
        void* block = nullptr;
        check(cudaMalloc(&block, bytes + 1), "cudaMalloc");
        check(cudaMemset(block, fill, bytes), "cudaMemset");
        blocks_.push_back(block);
        return block;
    }
    template <class T>
    T* upload(const std::vector<T>& data) {
        if (data.empty()) return nullptr;
        void* block = take(data.size() * sizeof(T), 0);
        check(cudaMemcpy(block, data.data(), data.size() * sizeof(T), cudaMemcpyHostToDevice),
              "upload");
        return static_cast<T*>(block);
    }

  private:
    std::vector<void*> blocks_;
};

// MMOE_GPU_ROW is a part of the names of the rows to run.
bool wanted(const cuda::Row& row) {
    const char* filter = std::getenv("MMOE_GPU_ROW");
    return filter == nullptr || std::strstr(row.name, filter) != nullptr;
}

// Rows that are not wanted, or that the build has no code for.
uint64_t unwanted_rows = 0;

cuda::Device current_device() {
    int index = 0;
    cudaDeviceProp properties = {};
    check(cudaGetDevice(&index), "cudaGetDevice");
    check(cudaGetDeviceProperties(&properties, index), "cudaGetDeviceProperties");
    return {properties.multiProcessorCount, 10 * properties.major + properties.minor,
            static_cast<int32_t>(properties.sharedMemPerBlockOptin), unwanted_rows};
}

cuda::Matrix upload(DeviceArena& arena, const TestMatrix& host) {
    cuda::Matrix matrix = host.shape;
    matrix.codes = arena.upload(host.codes);
    matrix.scales = arena.upload(host.scales);
    matrix.zero_points = arena.upload(host.zero_points);
    matrix.bias = arena.upload(host.bias);
    return matrix;
}

// A case on the device, ready to run.
struct Loaded {
    DeviceArena arena;
    cuda::Device device;
    cuda::Layer layer;
    cuda::Run run;
    void* workspace = nullptr;
    size_t output_bytes = 0;
    const cuda::Row* row = nullptr;  // what to run with; null: what is chosen

    Loaded(const LayerCase& test, const TestLayer& host) : device(current_device()) {
        layer = host.layer;
        layer.w13 = upload(arena, host.w13);
        layer.w2 = upload(arena, host.w2);
        layer.hidden_order = arena.upload(host.hidden_order);
        run.tokens = test.tokens;
        run.top_k = test.top_k;
        run.hidden_type = test.hidden_type;
        run.output_type = test.output_type;
        run.hidden = arena.upload(host.hidden);
        run.hidden_stride = host.hidden_stride;
        run.expert_ids = arena.upload(host.ids);
        run.expert_weights = arena.upload(host.weights);
        run.expert_map = arena.upload(host.expert_map);
        run.map_size = static_cast<int64_t>(host.expert_map.size());
        output_bytes = host.expected.size() * (test.output_type == Element::kF32 ? 4 : 2);
        run.output = arena.take(output_bytes, 0xFF);
        run.output_stride = test.hidden;
        run.skipped = static_cast<int32_t*>(arena.take(4, 0));
        const size_t bytes = cuda::workspace_bytes(layer, test.tokens, test.top_k);
        workspace = arena.take(bytes, 0);
    }
    void enqueue(cudaStream_t stream) {
        check(cudaMemsetAsync(run.output, 0xFF, output_bytes, stream), "poison");
        const int status = row != nullptr
                               ? cuda::run_layer_with(*row, device, layer, run, workspace, stream)
                               : cuda::run_layer(device, layer, run, workspace, stream);
        check(status, "run_layer");
    }
    // Whether a wanted row is meant for this.
    [[nodiscard]] bool served() const {
        return cuda::choose(cuda::describe(device, layer, run)) != nullptr;
    }
    std::vector<uint8_t> output(cudaStream_t stream) const {
        check(cudaStreamSynchronize(stream), "synchronise");
        std::vector<uint8_t> bytes(output_bytes);
        check(cudaMemcpy(bytes.data(), run.output, output_bytes, cudaMemcpyDeviceToHost), "read");
        return bytes;
    }
};

void replay_gives_same_bits(Loaded& loaded, cudaStream_t stream, int replays,
                            const std::vector<uint8_t>& expected, const char* name) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), "begin capture");
    loaded.enqueue(stream);
    check(cudaStreamEndCapture(stream, &graph), "end capture");
    check(cudaGraphInstantiate(&executable, graph, 0), "instantiate");
    for (int replay = 0; replay < replays; ++replay) {
        check(cudaGraphLaunch(executable, stream), "launch");
        if (replay % 100 != 0 && replay + 1 != replays) continue;
        if (loaded.output(stream) != expected) fail_msg("%s: replay %d differs", name, replay);
    }
    cudaGraphExecDestroy(executable);
    cudaGraphDestroy(graph);
}

// One row on one case: right, and the same bits again and in a graph.
void run_row(const LayerCase& test, const TestLayer& host, Loaded& loaded, cudaStream_t stream,
             int replays) {
    loaded.enqueue(stream);
    const std::vector<uint8_t> first = loaded.output(stream);
    const double error = relative_error(test, first, host.expected);
    print_message("%-32s %-40s %.2e\n", test.name, loaded.row->name, error);
    const double tolerance = loaded.row->rounds_weights ? kRoundedTolerance : kTolerance;
    if (!(error <= tolerance)) fail_msg("%s: relative error %.2e", test.name, error);
    loaded.enqueue(stream);
    if (loaded.output(stream) != first) fail_msg("%s: second run differs", test.name);
    replay_gives_same_bits(loaded, stream, replays, first, test.name);
}

// Every row that can serve the case.
void run_case(const LayerCase& test, cudaStream_t stream, int replays) {
    const TestLayer host = make_layer(test);
    Loaded loaded(test, host);
    const cuda::Problem problem = cuda::describe(loaded.device, loaded.layer, loaded.run);
    bool ran = false;
    for (size_t i = 0; i < cuda::rows().size(); ++i) {
        const cuda::Row& row = cuda::rows()[i];
        if (row.refuse(problem) != nullptr || (unwanted_rows >> i & 1) != 0) continue;
        loaded.row = &row;
        run_row(test, host, loaded, stream, replays);
        ran = true;
    }
    const char* reason =
        cuda::refuse(loaded.device, loaded.layer, test.hidden_type, test.output_type);
    if (ran && reason != nullptr && unwanted_rows == 0)
        fail_msg("%s: refused: %s", test.name, reason);
    if (!ran && unwanted_rows == 0) fail_msg("%s: no row serves it", test.name);
    int32_t skipped = 0;
    check(cudaMemcpy(&skipped, loaded.run.skipped, 4, cudaMemcpyDeviceToHost), "read flag");
    assert_int_equal(skipped, ran && host.out_of_range ? 1 : 0);
}

// MMOE_GPU_FILTER names the cases to run, for runs under compute-sanitizer.
bool wanted(const LayerCase& test) {
    const char* filter = std::getenv("MMOE_GPU_FILTER");
    return filter == nullptr || std::strstr(filter, test.name) != nullptr;
}

void cases_match_the_oracle(void**) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "stream");
    for (const LayerCase& test : kCases) {
        if (wanted(test)) run_case(test, stream, 3);
    }
    cudaStreamDestroy(stream);
}

// MMOE_GPU_REPLAYS sets another number, likewise.
int replay_count() {
    const char* variable = std::getenv("MMOE_GPU_REPLAYS");
    return variable != nullptr ? std::atoi(variable) : 1000;
}

void thousand_replays_give_the_same_bits(void**) {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "stream");
    for (const char* name : {"one token", "tokens end mid-tile", "cut along K"}) {
        for (const LayerCase& test : kCases) {
            if (std::strcmp(test.name, name) == 0) run_case(test, stream, replay_count());
        }
    }
    cudaStreamDestroy(stream);
}

void run_side_by_side(const LayerCase& test) {
    constexpr int kStreams = 4;
    const TestLayer host = make_layer(test);
    if (!Loaded(test, host).served()) return;
    std::vector<std::unique_ptr<Loaded>> loaded;
    std::vector<cudaStream_t> streams(kStreams);
    for (cudaStream_t& stream : streams) {
        check(cudaStreamCreate(&stream), "stream");
        loaded.push_back(std::make_unique<Loaded>(test, host));
    }
    for (int repeat = 0; repeat < std::min(20, replay_count()); ++repeat) {
        for (size_t i = 0; i < kStreams; ++i) loaded[i]->enqueue(streams[i]);
    }
    const std::vector<uint8_t> first = loaded[0]->output(streams[0]);
    assert_true(relative_error(test, first, host.expected) <= kRoundedTolerance);
    for (size_t i = 1; i < kStreams; ++i) assert_true(loaded[i]->output(streams[i]) == first);
    for (cudaStream_t stream : streams) cudaStreamDestroy(stream);
}

// Several layers, streams and workspaces at a time do not disturb each other: one token, where
// blocks of a launch wait for each other, and many.
void streams_run_side_by_side(void**) {
    run_side_by_side(kCases[0]);
    run_side_by_side(kCases[4]);
}

// A launch of which not all blocks can run at a time ends, and is right.
void blocks_wait_only_for_running_ones(void**) {
    for (const LayerCase& test : kCases) {
        if (test.tokens != 1 || !wanted(test)) continue;
        const TestLayer host = make_layer(test);
        Loaded loaded(test, host);
        const cuda::Problem problem = cuda::describe(loaded.device, loaded.layer, loaded.run);
        loaded.device.processor_count *= 3;
        for (const cuda::Row& row : cuda::rows()) {
            if (row.layer_kernel == nullptr || row.refuse(problem) != nullptr || !wanted(row)) {
                continue;
            }
            loaded.row = &row;
            loaded.enqueue(nullptr);
            const double error = relative_error(test, loaded.output(nullptr), host.expected);
            if (!(error <= kTolerance)) fail_msg("%s: %s: %.2e", test.name, row.name, error);
        }
    }
}

// The device alone knows how many tokens there are; rows past them keep what they held.
void token_count_is_read_on_the_device(void**) {
    constexpr int32_t kCounts[] = {0, 1, 20, 33, 1000, -5};
    for (const bool hidden_order : {false, true}) {
        const LayerCase test = {
            .name = "token count", .tokens = 33, .hidden_order = hidden_order, .hidden_padding = 3};
        const TestLayer host = make_layer(test);
        Loaded loaded(test, host);
        // Rows that want the count from the host do not serve here.
        loaded.run.token_count = loaded.arena.upload(std::vector<int32_t>{test.tokens});
        if (!loaded.served()) continue;
        loaded.enqueue(nullptr);
        const std::vector<uint8_t> all = loaded.output(nullptr);
        assert_true(relative_error(test, all, host.expected) <= kRoundedTolerance);
        const size_t row_bytes = all.size() / static_cast<size_t>(test.tokens);
        for (const int32_t count : kCounts) {
            loaded.run.token_count = loaded.arena.upload(std::vector<int32_t>{count});
            loaded.enqueue(nullptr);
            const int live = std::clamp(count, 0, test.tokens);
            std::vector<uint8_t> expected(all.size(), 0xFF);
            std::copy_n(all.begin(), static_cast<size_t>(live) * row_bytes, expected.begin());
            if (loaded.output(nullptr) != expected) fail_msg("%d tokens differ", count);
        }
    }
}

// What one run leaves in the workspace disturbs no other, whichever rows serve them.
void runs_of_all_sizes_share_a_workspace(void**) {
    const LayerCase test = {
        .name = "shared workspace", .tokens = 300, .experts = 8, .top_k = 2, .group = 128};
    const TestLayer host = make_layer(test);
    Loaded shared(test, host);
    for (const int32_t tokens : {1, 300, 2, 64, 1, 17, 300, 1}) {
        Loaded alone(test, host);
        alone.run.tokens = shared.run.tokens = tokens;
        if (!alone.served()) continue;
        alone.enqueue(nullptr);
        shared.enqueue(nullptr);
        if (shared.output(nullptr) != alone.output(nullptr)) {
            fail_msg("%d tokens: other bits than in a workspace of their own", tokens);
        }
    }
}

void no_tokens_is_no_work(void**) {
    const LayerCase& test = kCases[0];
    Loaded loaded(test, make_layer(test));
    loaded.run.tokens = 0;
    assert_int_equal(cuda::run_layer(loaded.device, loaded.layer, loaded.run, nullptr, nullptr), 0);
}

}  // namespace

int main() {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess || count == 0) {
        std::printf("skipped: no CUDA device (%s)\n", cudaGetErrorString(status));
        return 77;  // CTest's SKIP_RETURN_CODE
    }
    for (size_t i = 0; i < cuda::rows().size(); ++i) {
        if (!wanted(cuda::rows()[i])) unwanted_rows |= uint64_t{1} << i;
    }
    if (const int prepared = cuda::prepare(unwanted_rows); prepared != cudaSuccess) {
        std::printf("prepare: %s\n", cudaGetErrorString(static_cast<cudaError_t>(prepared)));
        return 1;
    }
    const CMUnitTest tests[] = {
        cmocka_unit_test(cases_match_the_oracle),
        cmocka_unit_test(thousand_replays_give_the_same_bits),
        cmocka_unit_test(streams_run_side_by_side),
        cmocka_unit_test(blocks_wait_only_for_running_ones),
        cmocka_unit_test(token_count_is_read_on_the_device),
        cmocka_unit_test(runs_of_all_sizes_share_a_workspace),
        cmocka_unit_test(no_tokens_is_no_work),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
