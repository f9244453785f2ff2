// SPDX-License-Identifier: Apache-2.0
// What compute-sanitizer's racecheck cannot follow: correct ways to hand data from one warp to
// another through shared memory. Where it reports a race here, its reports on kernels that hand
// over in these ways say nothing: moe_decode does in both, moe_prefill gives stages back by one
// lane of a warp. run.sh asks each time.
//
//     racecheck_limits flag|lane     which of them; fails if the data did not arrive
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>

#include "cuda/ptx/shared.h"
#include "cuda/ptx/sync.h"

namespace {

namespace ptx = mmoe::cuda::ptx;

constexpr int kRounds = 16;

// Writes, then a release store of a flag; an acquire load that sees it, then reads (PTX ISA,
// memory consistency model: release and acquire patterns).
__global__ void hand_over_by_flag(int* sum) {
    __shared__ int data[32 * kRounds];
    __shared__ int published;
    if (threadIdx.x == 0) published = 0;
    __syncthreads();
    const int lane = threadIdx.x % 32;
    if (threadIdx.x == 0) {
        for (int round = 0; round < kRounds; ++round) {
            for (int i = 0; i < 32; ++i) data[32 * round + i] = round + i;
            ptx::st_release_shared(ptx::shared_address(&published), round + 1);
        }
    } else if (threadIdx.x >= 32) {
        for (int round = 0; round < kRounds; ++round) {
            while (ptx::ld_acquire_shared(ptx::shared_address(&published)) <= round) {
            }
            atomicAdd(sum, data[32 * round + lane]);
        }
    }
}

// A warp writes, __syncwarp orders its lanes, one of them arrives for all at an mbarrier.
__global__ void hand_over_by_one_lane(int* sum) {
    __shared__ int data[32];
    __shared__ uint64_t full;
    __shared__ uint64_t empty;
    if (threadIdx.x == 0) {
        ptx::mbarrier_init(ptx::shared_address(&full), 1);
        ptx::mbarrier_init(ptx::shared_address(&empty), 1);
    }
    __syncthreads();
    const int lane = threadIdx.x % 32;
    for (int round = 0; round < kRounds; ++round) {
        if (threadIdx.x < 32) {
            ptx::mbarrier_wait(ptx::shared_address(&empty), ~round & 1);
            data[lane] = round + lane;
            __syncwarp();
            if (lane == 0) ptx::mbarrier_arrive(ptx::shared_address(&full));
        } else {
            ptx::mbarrier_wait(ptx::shared_address(&full), round & 1);
            atomicAdd(sum, data[31 - lane]);
            __syncwarp();
            if (lane == 0) ptx::mbarrier_arrive(ptx::shared_address(&empty));
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    constexpr int kExpected = kRounds * 31 * 16 + 32 * kRounds * (kRounds - 1) / 2;
    int sum = 0;
    int* device_sum = nullptr;
    if (cudaMalloc(&device_sum, sizeof sum) != cudaSuccess) return 77;
    cudaMemset(device_sum, 0, sizeof sum);
    if (argc > 1 && std::strcmp(argv[1], "flag") == 0) {
        hand_over_by_flag<<<1, 64>>>(device_sum);
    } else {
        hand_over_by_one_lane<<<1, 64>>>(device_sum);
    }
    const cudaError_t status = cudaMemcpy(&sum, device_sum, sizeof sum, cudaMemcpyDeviceToHost);
    cudaFree(device_sum);
    std::printf("%s: %d, expected %d\n", cudaGetErrorString(status), sum, kExpected);
    return status == cudaSuccess && sum == kExpected ? 0 : 1;
}
