// SPDX-License-Identifier: Apache-2.0
// One layer of a model from C++, through the wrapper marlin_moe.hpp; copy both files. An object
// ends where its scope does, in any order; a failed call is an exception with the library's
// sentence.
//
//     c++ -std=c++20 layer.cpp -lmarlin_moe;  ./a.out path/to/model
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include "marlin_moe.hpp"

namespace {

// [c++ wrapper]
// Root mean square of the layer's output for two tokens.
double run_layer(const char* path) {
    using namespace marlin_moe;
    auto cpu = sized<mmoe_context_options>();
    cpu.device_kind = MMOE_DEVICE_CPU;
    const Context context(cpu);
    const Checkpoint model(context, path);
    const Bundle bundle(context, model, 0);

    auto limits = sized<mmoe_executor_options>();
    limits.max_tokens = 2;
    limits.max_top_k = 2;
    limits.hidden_dtype = MMOE_DTYPE_F32;
    Executor executor(context, bundle, limits);

    const std::vector<int32_t> ids = {0, 1, 2, 3};
    const std::vector<float> weights = {0.75F, 0.25F, 0.5F, 0.5F};
    const std::vector<float> hidden(2 * size_t{bundle.layer().hidden_size}, 0.5F);
    std::vector<float> output(hidden.size());
    executor.run<float, float>(bundle, hidden, ids, weights, 2, output);

    double sum = 0;
    for (const float value : output) sum += double{value} * value;
    return std::sqrt(sum / static_cast<double>(output.size()));
}
// [c++ wrapper]

// The wrapper throws what the library says, and passes wrong lengths no further.
bool errors_are_exceptions(const char* path) {
    try {
        run_layer("no such model");
        return false;
    } catch (const marlin_moe::Error& error) {
        std::printf("expected: %s: %s\n", mmoe_status_name(error.status()), error.what());
        if (error.category() != 3 || error.details().os_errno == 0) return false;
    }
    const marlin_moe::Context context(marlin_moe::sized<mmoe_context_options>());
    marlin_moe::Checkpoint model(context, path);
    const marlin_moe::Checkpoint moved = std::move(model);
    return mmoe_checkpoint_layer_count(moved.get()) > 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL_DIRECTORY\n", argv[0]);
        return 2;
    }
    try {
        const double size = run_layer(argv[1]);
        std::printf("root mean square of the output: %.6g\n", size);
        return std::isfinite(size) && size > 0 && errors_are_exceptions(argv[1]) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
