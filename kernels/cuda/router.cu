// SPDX-License-Identifier: Apache-2.0
// A warp routes a token: scores -> choices in shared memory -> groups -> top_k times the best
// choice that is left. Scores of the chosen are computed again from their logits, so that only one
// number an expert is kept. NaN marks a choice that is not, or no longer, a candidate.
#include <cuda_runtime.h>

#include "cuda/number.h"
#include "cuda/router.h"

namespace mmoe::cuda {
namespace {

constexpr int kThreads = 32;
constexpr uint32_t kAll = 0xFFFFFFFF;
// A token whose scores are all 0 would divide by 0.
constexpr double kSmallestSum = 1e-20;

__device__ __forceinline__ double lowest() {
    return -__longlong_as_double(0x7FF0000000000000);
}
__device__ __forceinline__ double no_candidate() {
    return __longlong_as_double(0x7FF8000000000000);
}

// What turns logits of one token into scores.
struct Softmax {
    double highest, sum;
};

__device__ __forceinline__ double logit(const RouterArgs& args, int64_t token, int32_t expert) {
    const int64_t index = token * args.logits_stride + expert;
    if (args.logits_type == Element::kF32) return static_cast<const float*>(args.logits)[index];
    const uint16_t bits = static_cast<const uint16_t*>(args.logits)[index];
    return args.logits_type == Element::kF16 ? F16::widen(bits) : Bf16::widen(bits);
}

// An infinite logit takes all; the difference of two infinities would be NaN.
__device__ __forceinline__ double softmax_term(double value, double highest) {
    return value == highest ? 1.0 : exp(value - highest);
}

// The sum has one order whatever the logits: lanes stride over experts, then a tree.
__device__ __forceinline__ Softmax measure(const RouterArgs& args, int64_t token) {
    Softmax softmax = {lowest(), 0.0};
    if (args.scoring == Scoring::kSigmoid) return softmax;
    for (int32_t e = threadIdx.x; e < args.expert_count; e += kThreads) {
        const double value = logit(args, token, e);
        if (softmax.highest < value) softmax.highest = value;  // skips NaN
    }
    for (int distance = kThreads / 2; distance > 0; distance /= 2) {
        const double other = __shfl_xor_sync(kAll, softmax.highest, distance);
        if (softmax.highest < other) softmax.highest = other;
    }
    for (int32_t e = threadIdx.x; e < args.expert_count; e += kThreads) {
        const double term = softmax_term(logit(args, token, e), softmax.highest);
        if (!isnan(term)) softmax.sum += term;
    }
    for (int distance = kThreads / 2; distance > 0; distance /= 2) {
        softmax.sum += __shfl_xor_sync(kAll, softmax.sum, distance);
    }
    return softmax;
}

__device__ __forceinline__ double score(const RouterArgs& args, const Softmax& softmax,
                                        int64_t token, int32_t expert) {
    const double value = logit(args, token, expert);
    if (args.scoring == Scoring::kSigmoid) return 1.0 / (1.0 + exp(-value));
    return softmax_term(value, softmax.highest) / softmax.sum;
}

__device__ __forceinline__ void fill_choices(const RouterArgs& args, const Softmax& softmax,
                                             int64_t token, double* choices) {
    for (int32_t e = threadIdx.x; e < args.expert_count; e += kThreads) {
        const double bias = args.correction_bias == nullptr ? 0.0 : args.correction_bias[e];
        const double choice = score(args, softmax, token, e) + bias;
        choices[e] = isnan(choice) ? lowest() : choice;
    }
    __syncwarp();
}

// The best candidate of `values`, of equal ones the first; it stops being one.
__device__ __forceinline__ int32_t take_best(double* values, int32_t count) {
    double best = lowest();
    int32_t place = INT32_MAX;
    for (int32_t i = threadIdx.x; i < count; i += kThreads) {
        if (values[i] > best || (values[i] == best && i < place)) {
            best = values[i];
            place = i;
        }
    }
    for (int distance = kThreads / 2; distance > 0; distance /= 2) {
        const double other = __shfl_xor_sync(kAll, best, distance);
        const int32_t other_place = __shfl_xor_sync(kAll, place, distance);
        if (other > best || (other == best && other_place < place)) {
            best = other;
            place = other_place;
        }
    }
    if (threadIdx.x == 0) values[place] = no_candidate();
    __syncwarp();
    return place;
}

// Without a correction bias the best choice of a group, with one the sum of the two best.
__device__ __forceinline__ double group_value(const RouterArgs& args, const double* choices,
                                              int32_t size) {
    double best = lowest();
    double second = lowest();
    for (int32_t e = 0; e < size; ++e) {
        if (choices[e] > best) {
            second = best;
            best = choices[e];
        } else if (choices[e] > second) {
            second = choices[e];
        }
    }
    return args.correction_bias == nullptr || size == 1 ? best : best + second;
}

// Experts of the groups that are not kept stop being candidates.
__device__ __forceinline__ void drop_groups(const RouterArgs& args, double* choices,
                                            double* values) {
    if (args.groups_kept == args.group_count) return;
    const int32_t size = args.expert_count / args.group_count;
    for (int32_t group = threadIdx.x; group < args.group_count; group += kThreads) {
        values[group] = group_value(args, choices + group * size, size);
    }
    __syncwarp();
    for (int32_t i = 0; i < args.groups_kept; ++i) take_best(values, args.group_count);
    for (int32_t e = threadIdx.x; e < args.expert_count; e += kThreads) {
        if (!isnan(values[e / size])) choices[e] = no_candidate();
    }
    __syncwarp();
}

__global__ void __launch_bounds__(kThreads) moe_router(const RouterArgs args) {
    extern __shared__ double choices[];                  // [E]
    double* const groups = choices + args.expert_count;  // [groups]
    const int64_t token = blockIdx.x;
    const Softmax softmax = measure(args, token);
    fill_choices(args, softmax, token, choices);
    drop_groups(args, choices, groups);
    double sum = 0.0;
    for (int32_t j = 0; j < args.top_k; ++j) {
        const int32_t expert = take_best(choices, args.expert_count);
        if (threadIdx.x == 0) args.expert_ids[token * args.top_k + j] = expert;
        sum += score(args, softmax, token, expert);
    }
    if (threadIdx.x != 0) return;
    const double divisor = !args.renormalize ? 1.0 : sum < kSmallestSum ? kSmallestSum : sum;
    for (int64_t slot = token * args.top_k; slot < (token + 1) * args.top_k; ++slot) {
        const double weight = score(args, softmax, token, args.expert_ids[slot]);
        args.expert_weights[slot] = static_cast<float>(weight / divisor * args.scale);
    }
}

}  // namespace

int launch_router(const RouterArgs& args, void* stream) noexcept {
    constexpr int kPlainSharedBytes = 48 << 10;  // more must be asked for
    const auto bytes = static_cast<int>(router_shared_bytes(args.expert_count, args.group_count));
    if (bytes > kPlainSharedBytes) {
        const int status = cudaFuncSetAttribute(reinterpret_cast<const void*>(&moe_router),
                                                cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
        if (status != cudaSuccess) return status;
    }
    moe_router<<<static_cast<unsigned>(args.tokens), kThreads, static_cast<size_t>(bytes),
                 static_cast<cudaStream_t>(stream)>>>(args);
    return cudaGetLastError();
}

}  // namespace mmoe::cuda
