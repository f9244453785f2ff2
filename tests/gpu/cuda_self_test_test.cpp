// SPDX-License-Identifier: Apache-2.0
// The self-test passes every row that works, and finds one that does not.
#include <cstring>
#include <memory>
#include <string>

#include "cuda_device.h"
#include "exec/cuda_self_test.h"

#include "cmocka_cpp.h"

namespace {

using namespace mmoe;

std::shared_ptr<const Context> make_context() {
    auto context = std::make_shared<Context>();
    context->kind = DeviceKind::kCuda;
    context->allocator = std::make_shared<const Allocator>();
    context->cuda = describe_cuda(0).value();
    context->place = cuda_place(0).value();
    context->parallel = Parallel::create(2, nullptr, nullptr).value();
    context->budget = std::make_shared<Budget>(0);
    context->tier = cpu::usable_tier();
    return context;
}

struct Case {
    const char* name;
    int bits;
    int32_t group_size;  // 0: one scale a channel
    Symmetry symmetry;
    layout::ScaleType scale_type;
    cpu::Element hidden_type;
    Activation activation;
    GateForm gate_form;
};

constexpr Case kCases[] = {
    {"4 bits", 4, 128, Symmetry::kAsymmetric, layout::ScaleType::kBf16, cpu::Element::kBf16,
     Activation::kSilu, GateForm::kSeparate},
    {"4 bits, symmetric, f16", 4, 32, Symmetry::kSymmetric, layout::ScaleType::kF16,
     cpu::Element::kF16, Activation::kGelu, GateForm::kSeparate},
    {"8 bits, a channel", 8, 0, Symmetry::kAsymmetric, layout::ScaleType::kF32, cpu::Element::kF32,
     Activation::kSilu, GateForm::kInterleaved},
    {"8 bits, not gated", 8, 48, Symmetry::kSymmetric, layout::ScaleType::kBf16,
     cpu::Element::kBf16, Activation::kRelu2, GateForm::kNone},
    {"a large group", 4, 4096, Symmetry::kAsymmetric, layout::ScaleType::kBf16, cpu::Element::kBf16,
     Activation::kSwigluOai, GateForm::kSeparate},
};

CudaSelfTest make_test(const Case& c, const std::shared_ptr<const Context>& context) {
    BundleSpec spec;
    spec.config.bits = c.bits;
    if (c.group_size != 0) spec.config.group_size = c.group_size;
    spec.config.symmetry = c.symmetry;
    spec.config.scale_type = c.scale_type;
    spec.layer.expert_count = 3;
    spec.layer.hidden_size = c.group_size > 256 ? c.group_size : 384;
    spec.layer.intermediate_size = spec.layer.hidden_size;
    spec.layer.activation = c.activation;
    spec.layer.gate_form = c.gate_form;
    if (c.activation == Activation::kSwigluOai) {
        spec.layer.alpha = 1.702F;
        spec.layer.beta = 1.0F;
        spec.layer.limit = 7.0F;
    }
    ExecutorOptions options;
    options.hidden_type = c.hidden_type;
    auto bundle = Bundle::create(context, spec);
    if (!bundle.ok()) fail_msg("%s: %s", c.name, bundle.status().message());
    auto test = CudaSelfTest::create(*context, *bundle.value(), options);
    if (!test.ok()) fail_msg("%s: %s", c.name, test.status().message());
    return std::move(test.value());
}

void rows_that_work_pass(void** /*state*/) {
    const auto context = make_context();
    uint64_t missing = 0;
    assert_int_equal(cuda::prepare(missing), 0);
    for (const Case& c : kCases) {
        const CudaSelfTest test = make_test(c, context);
        Result<uint64_t> distrusted = test.find_distrusted_rows(missing);
        if (!distrusted.ok()) fail_msg("%s: %s", c.name, distrusted.status().message());
        if (distrusted.value() != missing) {
            fail_msg("%s: rows %llx fail", c.name,
                     static_cast<unsigned long long>(distrusted.value()));
        }
    }
}

const cuda::Row& row_named(const char* name) {
    for (const cuda::Row& row : cuda::rows()) {
        if (std::strcmp(row.name, name) == 0) return row;
    }
    fail_msg("no row %s", name);
    return cuda::rows()[0];
}

// A kernel that takes bf16 for f16 is as wrong as a broken one.
void a_row_that_computes_wrong_numbers_fails(void** /*state*/) {
    const CudaSelfTest test = make_test(kCases[0], make_context());
    cuda::Row row = row_named("moe_gemm.bf16.int4.n128m8k128.sm80");
    assert_true(test.passes(row).value());
    row.kernel = row_named("moe_gemm.f16.int4.n128m8k128.sm80").kernel;
    assert_false(test.passes(row).value());
}

// What choose() and explain do with the answer.
void a_distrusted_row_never_serves(void** /*state*/) {
    cuda::Problem problem;
    problem.device = describe_cuda_device(*make_context());
    problem.mean_tokens = 1;
    const cuda::Row* best = cuda::choose(problem);
    assert_non_null(best);
    problem.device.distrusted_rows = uint64_t{1} << (best - cuda::rows().data());
    assert_ptr_not_equal(cuda::choose(problem), best);
    assert_string_equal(cuda::passed_over(*best, problem),
                        "it has no code for this device or failed its self-test");
    problem.device.distrusted_rows = ~uint64_t{0};
    assert_null(cuda::choose(problem));
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_work_pass),
        cmocka_unit_test(a_row_that_computes_wrong_numbers_fails),
        cmocka_unit_test(a_distrusted_row_never_serves),
    };
    return cmocka_run_group_tests_name("cuda_self_test", tests, nullptr, nullptr);
}
