// SPDX-License-Identifier: Apache-2.0
// Every CPU row that this machine runs, over a table of shapes, against plain loops of double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "parity/cpu_block.h"

#include "cmocka_cpp.h"

using namespace mmoe;
using namespace mmoe::cpu;
using namespace mmoe::parity;
using layout::kLanes;
using layout::ScaleType;

namespace {

constexpr layout::CpuRecordPlan plan(int64_t inputs, int64_t group_size, int bits = 4,
                                     bool asymmetric = false,
                                     ScaleType scale_type = ScaleType::kBf16) {
    return {.outputs = kLanes,
            .inputs = inputs,
            .group_size = group_size,
            .bits = bits,
            .asymmetric = asymmetric,
            .scale_type = scale_type};
}

constexpr BlockCase kCases[] = {
    {"4 bits", plan(512, 128)},
    {"4 bits, zero points", plan(512, 128, 4, true)},
    {"8 bits", plan(512, 128, 8)},
    {"8 bits, zero points", plan(512, 128, 8, true)},
    {"groups of 64", plan(320, 64, 4, true)},
    {"groups of 32", plan(96, 32, 4, true)},
    {"groups of 16", plan(48, 16, 4, true)},
    {"groups of 8", plan(64, 8, 4, true)},
    {"8 bits, groups of 32", plan(96, 32, 8, true)},
    {"8 bits, groups of 4", plan(64, 4, 8, true)},
    {"groups end mid-tile", plan(132, 44, 4, true)},
    {"8 bits, groups end mid-tile", plan(90, 18, 8, true)},
    {"groups of one input", plan(7, 1, 4, true)},
    {"groups longer than a sum block", plan(600, 200, 4, true)},
    {"groups of many sum blocks", plan(2048, 1024, 8, true)},
    {"one scale a channel", plan(14336, 14336)},
    {"8 bits, one scale a channel", plan(14336, 14336, 8, true)},
    {"one scale a channel, K ends mid-tile", plan(1003, 1003, 4, true)},
    {"one input", plan(1, 1)},
    {"outputs end mid-block", plan(256, 128, 4, true), Element::kBf16, Inputs::kNormal, 37},
    {"one output", plan(256, 128, 8), Element::kBf16, Inputs::kNormal, 1},
    {"f16 scales", plan(256, 64, 4, true, ScaleType::kF16)},
    {"f32 scales", plan(256, 64, 4, true, ScaleType::kF32)},
    {"8 bits, f32 scales", plan(256, 64, 8, false, ScaleType::kF32)},
    {"f16 inputs", plan(512, 128, 4, true), Element::kF16},
    {"f32 inputs", plan(512, 128, 4, true), Element::kF32},
    {"8 bits, f32 inputs", plan(512, 128, 8, true), Element::kF32},
    {"f32 inputs end mid-vector", plan(77, 77, 4, true), Element::kF32},
    {"shifted inputs", plan(1024, 128, 4, true), Element::kF32, Inputs::kShifted},
    {"outliers", plan(2048, 128, 4, true), Element::kF32, Inputs::kOutliers},
    {"bf16 outliers", plan(2048, 32, 8), Element::kBf16, Inputs::kOutliers},
    {"largest sums", plan(14336, 14336, 8, true), Element::kF32, Inputs::kConstant},
    {"4 bits, largest sums", plan(14336, 14336, 4, true), Element::kF16, Inputs::kConstant},
    {"tiny inputs", plan(512, 128, 4, true), Element::kF32, Inputs::kTiny},
    {"no input but zeros", plan(512, 128, 4, true), Element::kBf16, Inputs::kZero},
};

// Relative error of one token that fp32 sums allow: of at most 128 exact products, then of blocks,
// a few 2^-24.
constexpr double kSumTolerance = 1e-6;

// Largest integer of a fixed point format; 0: the format holds activations as they are.
float fixed_limit(ActivationFormat format) {
    switch (format) {
        case ActivationFormat::kInt16:
            return 32767;
        case ActivationFormat::kInt16Planes:
            return 127 * 256 + 127;
        case ActivationFormat::kInt8:
            return 127;
        default:
            return 0;
    }
}

// Relative error of one token that a format's rounding allows. Fixed point: rounding is uniform in
// one step, 1/limit of the block's largest input; it weighs most if that outweighs the other 127,
// as outliers do: sqrt(128) / (limit * sqrt(12)) in the mean, 1.0e-4 in 16 and 2.6e-2 in 8 bits,
// and a fifth for the luck of 64 outputs, more for fewer.
double tolerance(ActivationFormat format, int lanes) {
    const double limit = double{fixed_limit(format)};
    const double luck = 1 + 0.2 * std::sqrt(64.0 / lanes);
    return limit == 0 ? kSumTolerance : luck * std::sqrt(128.0 / 12.0) / limit;
}

// The tokens of a problem packed by a row, ready to multiply.
class PackedRows {
  public:
    PackedRows(const Row& row, const layout::CpuRecordPlan& plan, Element source_type,
               const BlockProblem& problem) {
        for (int token = 0; token < row.most_tokens; ++token) {
            memory_.emplace_back(
                x_elements(plan) * static_cast<int64_t>(activation_bytes(row.format)), kPoison);
            sums_.emplace_back(x_sum_count(plan) * 4, kPoison);
            scales_.emplace_back(x_scale_count(plan) * 4, kPoison);
            x[token] = memory_.back().data();
            sum[token] = reinterpret_cast<float*>(sums_.back().data());
            scale[token] = reinterpret_cast<float*>(scales_.back().data());
            row.pack({&plan, source_type, problem.source(token), memory_.back().data(),
                      reinterpret_cast<float*>(sums_.back().data()),
                      reinterpret_cast<float*>(scales_.back().data())});
        }
    }

    static constexpr uint8_t kPoison = 0xFF;  // NaN in every floating-point type
    const void* x[kMaxTileTokens];
    const float* sum[kMaxTileTokens];
    const float* scale[kMaxTileTokens];

  private:
    std::vector<Aligned> memory_, sums_, scales_;
};

// [tokens, 64] of tokens `first` .. `first + tokens - 1`, in memory that was poisoned.
std::vector<float> multiply(const Row& row, const layout::CpuRecordPlan& plan,
                            const BlockProblem& problem, const PackedRows& packed, int first,
                            int tokens) {
    Aligned out(int64_t{tokens} * kLanes * 4, PackedRows::kPoison);
    row.multiply(tokens, {&plan, problem.records(), nullptr, packed.x + first, packed.sum + first,
                          packed.scale + first, reinterpret_cast<float*>(out.data())});
    std::vector<float> values(static_cast<size_t>(tokens * kLanes));
    std::memcpy(values.data(), out.data(), values.size() * 4);
    return values;
}

double relative_error(const float* got, const std::vector<double>& want) {
    double difference = 0;
    double norm = 0;
    for (size_t lane = 0; lane < want.size(); ++lane) {
        difference += (got[lane] - want[lane]) * (got[lane] - want[lane]);
        norm += want[lane] * want[lane];
    }
    return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

// Beyond the rounding of activations, which this repeats, a row is as good as fp32.
void check_sums(const Row& row, const BlockCase& spec, const BlockProblem& problem, int token,
                const std::vector<float>& got) {
    const float limit = fixed_limit(row.format);
    if (limit == 0) return;
    const double error = relative_error(got.data(), problem.expected_of_fixed(token, limit));
    if (!(error <= kSumTolerance)) {
        fail_msg("%s: %s: token %d: relative error %.3g of fixed point", row.name, spec.name, token,
                 error);
    }
}

void check_row(const Row& row, const BlockCase& spec) {
    const BlockProblem problem(spec, row.most_tokens);
    const PackedRows packed(row, spec.plan, spec.source, problem);
    std::vector<float> alone;  // every token in a tile of its own
    for (int token = 0; token < row.most_tokens; ++token) {
        const std::vector<float> one = multiply(row, spec.plan, problem, packed, token, 1);
        const double error = relative_error(one.data(), problem.expected(token));
        if (!(error <= tolerance(row.format, spec.lanes))) {
            fail_msg("%s: %s: token %d: relative error %.3g", row.name, spec.name, token, error);
        }
        check_sums(row, spec, problem, token, one);
        alone.insert(alone.end(), one.begin(), one.end());
    }
    for (int tokens = 2; tokens <= row.most_tokens; ++tokens) {
        const std::vector<float> tile = multiply(row, spec.plan, problem, packed, 0, tokens);
        if (std::memcmp(tile.data(), alone.data(), tile.size() * 4) != 0) {
            fail_msg("%s: %s: a tile of %d tokens has other bits", row.name, spec.name, tokens);
        }
    }
}

// Calls check(row, case) for what can run here; returns how many did.
template <class Check>
int for_rows(Check&& check) {
    int ran = 0;
    for (const Row& row : rows()) {
        if (!usable(row.tier)) continue;
        const int before = ran;
        for (const BlockCase& spec : kCases) {
            if (row.refuse(spec.plan, spec.source) != nullptr) continue;
            check(row, spec);
            ++ran;
        }
        print_message("%-34s %d cases\n", row.name, ran - before);
    }
    return ran;
}

void every_row_agrees_with_double(void**) {
    assert_true(for_rows(check_row) > 0);
}

// Infinity and NaN stay in their token, and reach all of its outputs.
void numbers_that_are_none_stay_in_their_token(void**) {
    for_rows([](const Row& row, const BlockCase& spec) {
        const int tokens = row.most_tokens;
        BlockProblem problem(spec, tokens);
        const PackedRows clean(row, spec.plan, spec.source, problem);
        const std::vector<float> want = multiply(row, spec.plan, problem, clean, 0, tokens);
        problem.set_input(1, spec.plan.inputs - 1, NAN);
        problem.set_input(3, spec.plan.inputs / 2, -INFINITY);
        const PackedRows packed(row, spec.plan, spec.source, problem);
        const std::vector<float> got = multiply(row, spec.plan, problem, packed, 0, tokens);
        for (int i = 0; i < tokens * kLanes; ++i) {
            const auto at = static_cast<size_t>(i);
            const bool poisoned = i / kLanes == 1 || i / kLanes == 3;
            const bool right = poisoned ? !std::isfinite(got[at]) : got[at] == want[at];
            if (!right) {
                fail_msg("%s: %s: token %d lane %d is %g", row.name, spec.name, i / kLanes,
                         i % kLanes, static_cast<double>(got[at]));
            }
        }
    });
}

void the_table_serves_whatever_the_tier(void**) {
    for (const auto& [tier, base, name] : kTiers) {
        assert_true(includes(tier, base) && includes(tier, Tier::kScalar));
        for (const BlockCase& spec : kCases) {
            int exact = 0;
            for (const Row& row : rows()) {
                if (includes(tier, row.tier) && row.exact &&
                    row.refuse(spec.plan, spec.source) == nullptr) {
                    ++exact;
                }
            }
            if (exact == 0) fail_msg("%s: no exact row on %s", spec.name, name);
        }
        assert_true(includes(tier, elementwise(tier).tier));
        assert_true(!usable(tier) || usable(base));
    }
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(every_row_agrees_with_double),
        cmocka_unit_test(numbers_that_are_none_stay_in_their_token),
        cmocka_unit_test(the_table_serves_whatever_the_tier),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
