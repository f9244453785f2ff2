// SPDX-License-Identifier: Apache-2.0
// Warp group matrix multiply (PTX ISA, wgmma; sm_90a): D[64, N] += A[64, 16] * B[16, N] with A in
// registers, B in shared memory and D, fp32, in registers. Warp w of the group holds rows 16 w to
// 16 w + 15 in the order of mma.m16n8k16: D element 4 j + i belongs to columns 8 j .. 8 j + 7.
// setmaxnreg, which such kernels need, stands here too.
#pragma once

#include <cstdint>

namespace mmoe::cuda::ptx {

// Moves registers between the warp groups of a block; every warp of the group takes part.
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_inc() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void setmaxnreg_dec() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// Orders register accesses before the wgmma instructions that follow.
__device__ __forceinline__ void wgmma_fence() {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit_group() {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Returns when at most kPending of the committed groups are still under way.
template <int kPending>
__device__ __forceinline__ void wgmma_wait_group() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// B as rows of N that are 128 bytes of K each, 16-byte chunks swizzled by row % 8: groups of eight
// rows follow each other at 1024 bytes. Address and stride count 16 bytes; bit 62: this swizzle.
// `offset_bytes` from there on: only the low word depends on the place.
__device__ __forceinline__ uint64_t wgmma_descriptor(uint32_t shared, uint32_t offset_bytes) {
    constexpr uint32_t kRowGroupStride = 1024 / 16;
    constexpr uint32_t kSwizzle128 = uint32_t{1} << 30;
    const uint32_t low = ((shared & 0x3FFFF) >> 4 | uint32_t{1} << 16) + offset_bytes / 16;
    return uint64_t{kRowGroupStride | kSwizzle128} << 32 | low;
}

template <int kN>
struct Wgmma;

// REGISTERS names the N / 2 sums; A and B are the numbers of the operands after them. The predicate
// says that sums are added to.
#define MMOE_WGMMA_ASM(N, TYPE, REGISTERS, A, B, ...)                                           \
    asm volatile(                                                                               \
        "{\n.reg .pred p;\nsetp.eq.u32 p, 1, 1;\n"                                              \
        "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE " {" REGISTERS "}, {" A \
        "}, " B ", p, 1, 1, 0;\n}\n"                                                            \
        : __VA_ARGS__                                                                           \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b))
#define MMOE_WGMMA(N, REGISTERS, A, B, ...)                                                    \
    template <>                                                                                \
    struct Wgmma<N> {                                                                          \
        static __device__ __forceinline__ void bf16(float (&d)[N / 2], const uint32_t (&a)[4], \
                                                    uint64_t b) {                              \
            MMOE_WGMMA_ASM(N, "bf16", REGISTERS, A, B, __VA_ARGS__);                           \
        }                                                                                      \
        static __device__ __forceinline__ void f16(float (&d)[N / 2], const uint32_t (&a)[4],  \
                                                   uint64_t b) {                               \
            MMOE_WGMMA_ASM(N, "f16", REGISTERS, A, B, __VA_ARGS__);                            \
        }                                                                                      \
    }
#define MMOE_SUMS(I)                                                                            \
    "+f"(d[I]), "+f"(d[I + 1]), "+f"(d[I + 2]), "+f"(d[I + 3]), "+f"(d[I + 4]), "+f"(d[I + 5]), \
        "+f"(d[I + 6]), "+f"(d[I + 7])
#define MMOE_SUMS_16   MMOE_SUMS(0)
#define MMOE_SUMS_32   MMOE_SUMS_16, MMOE_SUMS(8)
#define MMOE_SUMS_48   MMOE_SUMS_32, MMOE_SUMS(16)
#define MMOE_SUMS_64   MMOE_SUMS_48, MMOE_SUMS(24)
#define MMOE_SUMS_80   MMOE_SUMS_64, MMOE_SUMS(32)
#define MMOE_SUMS_96   MMOE_SUMS_80, MMOE_SUMS(40)
#define MMOE_SUMS_112  MMOE_SUMS_96, MMOE_SUMS(48)
#define MMOE_SUMS_128  MMOE_SUMS_112, MMOE_SUMS(56)
#define MMOE_SUMS_144  MMOE_SUMS_128, MMOE_SUMS(64)
#define MMOE_SUMS_160  MMOE_SUMS_144, MMOE_SUMS(72)
#define MMOE_NAMES_16  "%0, %1, %2, %3, %4, %5, %6, %7"
#define MMOE_NAMES_32  MMOE_NAMES_16 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define MMOE_NAMES_48  MMOE_NAMES_32 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define MMOE_NAMES_64  MMOE_NAMES_48 ", %24, %25, %26, %27, %28, %29, %30, %31"
#define MMOE_NAMES_80  MMOE_NAMES_64 ", %32, %33, %34, %35, %36, %37, %38, %39"
#define MMOE_NAMES_96  MMOE_NAMES_80 ", %40, %41, %42, %43, %44, %45, %46, %47"
#define MMOE_NAMES_112 MMOE_NAMES_96 ", %48, %49, %50, %51, %52, %53, %54, %55"
#define MMOE_NAMES_128 MMOE_NAMES_112 ", %56, %57, %58, %59, %60, %61, %62, %63"
#define MMOE_NAMES_144 MMOE_NAMES_128 ", %64, %65, %66, %67, %68, %69, %70, %71"
#define MMOE_NAMES_160 MMOE_NAMES_144 ", %72, %73, %74, %75, %76, %77, %78, %79"

MMOE_WGMMA(16, MMOE_NAMES_16, "%8, %9, %10, %11", "%12", MMOE_SUMS_16);
MMOE_WGMMA(32, MMOE_NAMES_32, "%16, %17, %18, %19", "%20", MMOE_SUMS_32);
MMOE_WGMMA(48, MMOE_NAMES_48, "%24, %25, %26, %27", "%28", MMOE_SUMS_48);
MMOE_WGMMA(64, MMOE_NAMES_64, "%32, %33, %34, %35", "%36", MMOE_SUMS_64);
MMOE_WGMMA(80, MMOE_NAMES_80, "%40, %41, %42, %43", "%44", MMOE_SUMS_80);
MMOE_WGMMA(96, MMOE_NAMES_96, "%48, %49, %50, %51", "%52", MMOE_SUMS_96);
MMOE_WGMMA(112, MMOE_NAMES_112, "%56, %57, %58, %59", "%60", MMOE_SUMS_112);
MMOE_WGMMA(128, MMOE_NAMES_128, "%64, %65, %66, %67", "%68", MMOE_SUMS_128);
MMOE_WGMMA(144, MMOE_NAMES_144, "%72, %73, %74, %75", "%76", MMOE_SUMS_144);
MMOE_WGMMA(160, MMOE_NAMES_160, "%80, %81, %82, %83", "%84", MMOE_SUMS_160);

#undef MMOE_WGMMA_ASM
#undef MMOE_WGMMA
#undef MMOE_SUMS
#undef MMOE_SUMS_16
#undef MMOE_SUMS_32
#undef MMOE_SUMS_48
#undef MMOE_SUMS_64
#undef MMOE_SUMS_80
#undef MMOE_SUMS_96
#undef MMOE_SUMS_112
#undef MMOE_SUMS_128
#undef MMOE_SUMS_144
#undef MMOE_SUMS_160
#undef MMOE_NAMES_16
#undef MMOE_NAMES_32
#undef MMOE_NAMES_48
#undef MMOE_NAMES_64
#undef MMOE_NAMES_80
#undef MMOE_NAMES_96
#undef MMOE_NAMES_112
#undef MMOE_NAMES_128
#undef MMOE_NAMES_144
#undef MMOE_NAMES_160

}  // namespace mmoe::cuda::ptx
