// SPDX-License-Identifier: Apache-2.0
// One token at a time, in double: logits -> scores -> groups -> experts -> weights.
#include "exec/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/guard.h"
#include "layout/number.h"

namespace mmoe {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
// A token whose scores are all 0 would divide by 0.
constexpr double kSmallestSum = 1e-20;
constexpr int64_t kTokensPerTask = 16;

class TokenRouter {
  public:
    explicit TokenRouter(const RouterArgs& args)
        : args_(args),
          scores_(static_cast<size_t>(args.expert_count)),
          choices_(scores_.size()),
          experts_(scores_.size()),
          group_values_(static_cast<size_t>(args.group_count)),
          groups_(group_values_.size()) {}

    void operator()(int64_t token) {
        score(token);
        for (size_t e = 0; e < scores_.size(); ++e) {
            const double bias = args_.correction_bias == nullptr ? 0.0 : args_.correction_bias[e];
            const double choice = scores_[e] + bias;
            choices_[e] = std::isnan(choice) ? kLowest : choice;
        }
        const size_t candidates = keep_groups();
        const auto top_k = static_cast<size_t>(args_.top_k);
        std::partial_sort(experts_.begin(), experts_.begin() + args_.top_k,
                          experts_.begin() + static_cast<std::ptrdiff_t>(candidates),
                          [this](int32_t a, int32_t b) { return better(choices_, a, b); });
        double sum = 0.0;
        for (size_t j = 0; j < top_k; ++j) sum += scores_[static_cast<size_t>(experts_[j])];
        const double divisor = args_.renormalize ? std::max(sum, kSmallestSum) : 1.0;
        for (size_t j = 0; j < top_k; ++j) {
            const auto place = static_cast<size_t>(token) * top_k + j;
            args_.expert_ids[place] = experts_[j];
            args_.expert_weights[place] = static_cast<float>(
                scores_[static_cast<size_t>(experts_[j])] / divisor * args_.scale);
        }
    }

  private:
    static bool better(const std::vector<double>& values, int32_t a, int32_t b) noexcept {
        const double value_a = values[static_cast<size_t>(a)];
        const double value_b = values[static_cast<size_t>(b)];
        return value_a != value_b ? value_a > value_b : a < b;
    }

    [[nodiscard]] double logit(int64_t token, size_t expert) const noexcept {
        const auto index = static_cast<size_t>(token * args_.logits_stride) + expert;
        if (args_.logits_type == cpu::Element::kF32) {
            return static_cast<const float*>(args_.logits)[index];
        }
        const uint16_t bits = static_cast<const uint16_t*>(args_.logits)[index];
        return args_.logits_type == cpu::Element::kF16 ? layout::f16_to_f32(bits)
                                                       : layout::bf16_to_f32(bits);
    }

    void score(int64_t token) {
        for (size_t e = 0; e < scores_.size(); ++e) scores_[e] = logit(token, e);
        if (args_.scoring == Scoring::kSigmoid) {
            for (double& value : scores_) value = 1.0 / (1.0 + std::exp(-value));
            return;
        }
        double highest = kLowest;
        for (const double value : scores_) highest = std::max(highest, value);  // skips NaN
        double sum = 0.0;
        for (double& value : scores_) {
            // An infinite logit takes all; the difference of two infinities would be NaN.
            value = value == highest ? 1.0 : std::exp(value - highest);
            if (!std::isnan(value)) sum += value;
        }
        for (double& value : scores_) value /= sum;
    }

    // Fills experts_ with the experts of the kept groups; returns how many.
    size_t keep_groups() {
        if (args_.groups_kept == args_.group_count) {
            std::iota(experts_.begin(), experts_.end(), 0);
            return experts_.size();
        }
        const int64_t size = args_.expert_count / args_.group_count;
        for (int64_t group = 0; group < args_.group_count; ++group) {
            group_values_[static_cast<size_t>(group)] = group_value(group * size, size);
        }
        std::iota(groups_.begin(), groups_.end(), 0);
        std::partial_sort(groups_.begin(), groups_.begin() + args_.groups_kept, groups_.end(),
                          [this](int32_t a, int32_t b) { return better(group_values_, a, b); });
        size_t count = 0;
        for (int64_t i = 0; i < args_.groups_kept; ++i) {
            const int64_t first = groups_[static_cast<size_t>(i)] * size;
            for (int64_t e = 0; e < size; ++e) {
                experts_[count++] = static_cast<int32_t>(first + e);
            }
        }
        return count;
    }

    [[nodiscard]] double group_value(int64_t first, int64_t size) const noexcept {
        double best = kLowest;
        double second = kLowest;
        for (int64_t e = first; e < first + size; ++e) {
            const double value = choices_[static_cast<size_t>(e)];
            if (value > best) {
                second = best;
                best = value;
            } else if (value > second) {
                second = value;
            }
        }
        return args_.correction_bias == nullptr || size == 1 ? best : best + second;
    }

    const RouterArgs& args_;
    std::vector<double> scores_;        // [E]
    std::vector<double> choices_;       // [E]
    std::vector<int32_t> experts_;      // [E]
    std::vector<double> group_values_;  // [groups]
    std::vector<int32_t> groups_;       // [groups]
};

}  // namespace

Status route(const RouterArgs& args, Parallel& parallel) {
    TRY(parallel.start());
    const int64_t most = parallel.thread_count();
    const int64_t tasks = std::clamp<int64_t>(args.tokens / kTokensPerTask, 1, most);
    std::vector<Status> statuses(static_cast<size_t>(tasks));
    parallel.run(static_cast<uint32_t>(tasks), [&](uint32_t task) {
        statuses[task] = guarded([&]() -> Status {
            TokenRouter router(args);
            const int64_t end = args.tokens * (task + 1) / tasks;
            for (int64_t t = args.tokens * task / tasks; t < end; ++t) router(t);
            return {};
        });
    });
    for (Status& status : statuses) TRY(std::move(status));
    return {};
}

}  // namespace mmoe
