// SPDX-License-Identifier: Apache-2.0
// Which row an H100 gets at which number of tokens, for the shapes of the benchmarks: the borders
// as they were measured. Needs no GPU.
#include <cstring>

#include "cmocka_cpp.h"
#include "cuda/launch.h"

namespace {

using namespace mmoe;

struct Shape {
    const char* name;
    int32_t experts, top_k, hidden, intermediate;
};

constexpr Shape kQwen30 = {"Qwen3-30B", 128, 8, 2048, 768};
constexpr Shape kQwen122 = {"Qwen3.5-122B", 256, 8, 3072, 1024};
constexpr Shape kMixtral = {"Mixtral-8x7B", 8, 2, 4096, 14336};
constexpr Shape kDeepSeek = {"DeepSeek-V3", 256, 8, 7168, 2048};

struct Choice {
    const Shape& shape;
    int32_t bits, group_size;
    int64_t least_tokens, most_tokens;  // powers of two
    const char* row;
};

constexpr Choice kChoices[] = {
    {kQwen30, 4, 128, 1, 1, "moe_decode.bf16.int4.n16m1k128.sm90"},
    {kQwen30, 4, 128, 2, 64, "moe_decode.bf16.int4.n128m8k128.sm90"},
    {kQwen30, 4, 128, 128, 256, "moe_gemm.bf16.int4.n512m32k128.sm90a"},
    {kQwen30, 4, 128, 512, 512, "moe_gemm.bf16.int4.n512m64k128.sm90a"},
    {kQwen30, 4, 128, 1024, 1024, "moe_gemm.bf16.int4.n256m128k128.sm90a"},
    {kQwen30, 4, 128, 2048, 8192, "moe_gemm.bf16.int4.n256m160k128.sm90a"},
    {kQwen30, 4, 32, 1, 1, "moe_decode.bf16.int4.n16m1k32.sm90"},
    {kQwen30, 4, 32, 2, 128, "moe_decode.bf16.int4.n128m8k32.sm90"},
    {kQwen30, 4, 32, 256, 8192, "moe_gemm.bf16.int4.n256m128k128g32.sm90a"},
    {kQwen30, 8, 128, 1, 128, "moe_decode.bf16.int8.n128m8k64.sm90"},
    {kQwen30, 8, 128, 256, 8192, "moe_gemm.bf16.int8.n256m128k128.sm90a"},
    {kQwen122, 4, 128, 1, 1, "moe_decode.bf16.int4.n16m1k128.sm90"},
    {kQwen122, 4, 128, 2, 64, "moe_decode.bf16.int4.n128m8k128.sm90"},
    {kQwen122, 4, 128, 128, 512, "moe_gemm.bf16.int4.n512m32k128.sm90a"},
    {kQwen122, 4, 128, 1024, 1024, "moe_gemm.bf16.int4.n512m64k128.sm90a"},
    {kQwen122, 4, 128, 2048, 2048, "moe_gemm.bf16.int4.n256m128k128.sm90a"},
    {kQwen122, 4, 128, 4096, 8192, "moe_gemm.bf16.int4.n256m160k128.sm90a"},
    {kMixtral, 4, 128, 1, 1, "moe_decode.bf16.int4.n16m1k128.sm90"},
    {kMixtral, 4, 128, 2, 16, "moe_decode.bf16.int4.n128m8k128.sm90"},
    {kMixtral, 4, 128, 32, 64, "moe_gemm.bf16.int4.n512m32k128.sm90a"},
    {kMixtral, 4, 128, 128, 128, "moe_gemm.bf16.int4.n512m64k128.sm90a"},
    {kMixtral, 4, 128, 256, 256, "moe_gemm.bf16.int4.n256m128k128.sm90a"},
    {kMixtral, 4, 128, 512, 8192, "moe_gemm.bf16.int4.n256m160k128.sm90a"},
    {kDeepSeek, 4, 128, 1, 64, "moe_decode.bf16.int4.n128m8k128.sm90"},
    {kDeepSeek, 4, 128, 128, 512, "moe_gemm.bf16.int4.n512m32k128.sm90a"},
    {kDeepSeek, 4, 128, 1024, 1024, "moe_gemm.bf16.int4.n512m64k128.sm90a"},
    {kDeepSeek, 4, 128, 2048, 2048, "moe_gemm.bf16.int4.n256m128k128.sm90a"},
    {kDeepSeek, 4, 128, 4096, 8192, "moe_gemm.bf16.int4.n256m160k128.sm90a"},
};

cuda::Layer layer_of(const Choice& choice) {
    const auto matrix = [&](int32_t inputs, int32_t outputs) {
        cuda::Matrix result = {};
        result.bits = choice.bits;
        result.inputs = inputs;
        result.outputs = outputs;
        result.group_size = choice.group_size;
        result.scale_type = layout::ScaleType::kBf16;
        result.tile_row_stride_bytes = 128 * choice.bits;
        return result;
    };
    const Shape& shape = choice.shape;
    cuda::Layer layer = {};
    layer.expert_count = shape.experts;
    layer.global_expert_count = shape.experts;
    layer.hidden_size = shape.hidden;
    layer.intermediate_size = shape.intermediate;
    layer.gated = true;
    layer.w13 = matrix(shape.hidden, 2 * shape.intermediate);
    layer.w2 = matrix(shape.intermediate, shape.hidden);
    return layer;
}

bool is_built(const char* name) {
    for (const cuda::Row& row : cuda::rows()) {
        if (std::strcmp(row.name, name) == 0) return true;
    }
    return false;
}

void an_h100_gets_the_rows_that_were_measured(void**) {
    cuda::Device h100 = {};
    h100.processor_count = 132;
    h100.compute_capability = 90;
    h100.shared_memory_bytes = 227 * 1024;
    for (const Choice& choice : kChoices) {
        if (!is_built(choice.row)) continue;  // a build without the code for Hopper
        const cuda::Layer layer = layer_of(choice);
        for (int64_t tokens = choice.least_tokens; tokens <= choice.most_tokens; tokens *= 2) {
            cuda::Run run = {};
            run.tokens = tokens;
            run.top_k = choice.shape.top_k;
            run.hidden_type = cuda::Element::kBf16;
            const cuda::Row* row = cuda::choose(cuda::describe(h100, layer, run));
            assert_non_null(row);
            if (std::strcmp(row->name, choice.row) == 0) continue;
            fail_msg("%s, %d bits, group %d, %d tokens: expected %s, got %s", choice.shape.name,
                     choice.bits, choice.group_size, static_cast<int>(tokens), choice.row,
                     row->name);
        }
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {cmocka_unit_test(an_h100_gets_the_rows_that_were_measured)};
    return cmocka_run_group_tests_name("cuda_choice", tests, nullptr, nullptr);
}
