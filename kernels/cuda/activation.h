// SPDX-License-Identifier: Apache-2.0
// The nonlinearity between the two GEMMs, in fp32, as mmoe_activation documents it.
#pragma once

#include "cuda/launch.h"
#include "cuda/ptx/f32.h"

namespace mmoe::cuda {

struct ActivationArgs {
    Activation activation;
    float alpha, beta, limit;  // limit is infinity where nothing is clamped
};

// The function of the gate, or of the only projection: all but the factor of the up projection.
__device__ __forceinline__ float activate_gate(const ActivationArgs& args, float gate) {
    const float a = gate > args.limit ? args.limit : gate;  // as written, NaN stays NaN
    switch (args.activation) {
        case Activation::kSilu:
            return a / (1.0F + __expf(-args.alpha * a));
        case Activation::kGelu:
            return 0.5F * a * (1.0F + erff(a * 0.70710678F));
        case Activation::kGeluTanh: {
            const float inner = 0.79788456F * (a + 0.044715F * a * a * a);  // sqrt(2 / pi)
            return 0.5F * a * (1.0F + tanhf(inner));
        }
        case Activation::kRelu2: {
            const float positive = a < 0.0F ? 0.0F : a;
            return positive * positive;
        }
        case Activation::kNone:
            return gate;
    }
    return gate;
}

// What a gate's function is multiplied by.
__device__ __forceinline__ float up_factor(const ActivationArgs& args, float up) {
    const float below = up > args.limit ? args.limit : up;
    const float u = below < -args.limit ? -args.limit : below;
    return args.activation == Activation::kSilu ? u + args.beta : u;
}

// Gated.
__device__ __forceinline__ float activate(const ActivationArgs& args, float gate, float up) {
    return activate_gate(args, gate) * up_factor(args, up);
}

// SiLU of the gate times up, as activate() has it, in few instructions: the reciprocal is good to
// 1 ulp, and where 1 + e^-a overflows the product is 0 as it should be.
__device__ __forceinline__ float silu_product(const ActivationArgs& args, float gate, float up) {
    const float a = ptx::min_nan(gate, args.limit);
    const float u = ptx::max_nan(ptx::min_nan(up, args.limit), -args.limit);
    return a * ptx::rcp_approx(1.0F + __expf(-args.alpha * a)) * (u + args.beta);
}

// Not gated: `u` is 1 and takes neither clamp nor beta.
__device__ __forceinline__ float activate(const ActivationArgs& args, float only) {
    return activate_gate(args, only);
}

}  // namespace mmoe::cuda
