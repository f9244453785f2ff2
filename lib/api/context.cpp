// SPDX-License-Identifier: Apache-2.0
// Devices and contexts.
#include <cstring>
#include <new>

#include "api/handles.h"
#include "device/cuda.h"

using namespace mmoe;
using namespace mmoe::api;

static_assert(MMOE_CPU_TIER_SCALAR == static_cast<int>(cpu::Tier::kScalar));
static_assert(MMOE_CPU_TIER_AVX2 == static_cast<int>(cpu::Tier::kAvx2));
static_assert(MMOE_CPU_TIER_AVX512 == static_cast<int>(cpu::Tier::kAvx512));
static_assert(MMOE_CPU_TIER_AVX512_BF16 == static_cast<int>(cpu::Tier::kAvx512Bf16));
static_assert(MMOE_CPU_TIER_AVX_VNNI == static_cast<int>(cpu::Tier::kAvxVnni));
static_assert(MMOE_CPU_TIER_AMX_BF16 == static_cast<int>(cpu::Tier::kAmxBf16));
static_assert(MMOE_CPU_TIER_NEON == static_cast<int>(cpu::Tier::kNeon));
static_assert(MMOE_CPU_TIER_NEON_DOT == static_cast<int>(cpu::Tier::kNeonDot));
static_assert(MMOE_CPU_TIER_NEON_BF16 == static_cast<int>(cpu::Tier::kNeonBf16));
static_assert(MMOE_DEVICE_CPU == static_cast<int>(DeviceKind::kCpu));
static_assert(MMOE_DEVICE_CUDA == static_cast<int>(DeviceKind::kCuda));

namespace {

Result<uint32_t> count_devices(mmoe_device_kind kind) {
    if (kind == MMOE_DEVICE_CPU) return 1u;
    if (kind == MMOE_DEVICE_CUDA) return cuda_device_count();
    return Status::error(Code::kInvalidArgument,
                         "kind: expected MMOE_DEVICE_CPU or MMOE_DEVICE_CUDA, got %d", kind);
}

Status check_index(mmoe_device_kind kind, int64_t index) {
    TRY(const uint32_t count, count_devices(kind));
    if (index >= 0 && index < count) return {};
    return Status::error(Code::kNoDevice, "device index: expected 0 to %u, got %lld", count - 1,
                         static_cast<long long>(index));
}

Result<cpu::Tier> choose_tier(mmoe_cpu_tier wanted) {
    if (wanted == MMOE_CPU_TIER_BEST) return cpu::usable_tier();
    if (wanted < MMOE_CPU_TIER_SCALAR || wanted > MMOE_CPU_TIER_NEON_BF16) {
        return Status::error(Code::kInvalidArgument, "cpu_tier: expected 0 to %d, got %d",
                             MMOE_CPU_TIER_NEON_BF16, wanted);
    }
    const auto tier = static_cast<cpu::Tier>(wanted);
    if (!cpu::usable(tier)) {
        return Status::error(Code::kUnsupported, "cpu_tier: this processor has %s, not %s",
                             cpu::tier_name(cpu::usable_tier()), cpu::tier_name(tier));
    }
    return tier;
}

Result<std::shared_ptr<const Allocator>> choose_allocator(const mmoe_allocator& given,
                                                          const char* name) {
    if ((given.allocate == nullptr) != (given.release == nullptr)) {
        return Status::error(Code::kInvalidArgument,
                             "%s: set both allocate and release, or neither", name);
    }
    return given.allocate == nullptr
               ? std::make_shared<const Allocator>()
               : std::make_shared<const Allocator>(given.user, given.allocate, given.release);
}

// Kernels are built for compute capability 8.0 and later.
constexpr int32_t kLeastComputeMajor = 8;

Result<CudaDescription> describe_served_cuda(int32_t index) {
    TRY(check_index(MMOE_DEVICE_CUDA, index));
    TRY(const CudaDescription device, describe_cuda(static_cast<uint32_t>(index)));
    if (device.compute_major >= kLeastComputeMajor) return device;
    return Status::error(Code::kUnsupported,
                         "%s: expected compute capability %d.0 or later, got %d.%d", device.name,
                         kLeastComputeMajor, device.compute_major, device.compute_minor);
}

// What the caller names, or else CUDA if the device can be used, or else the CPU.
mmoe_device_kind choose_kind(const mmoe_context_options& options) {
    if (options.device_kind != 0) return options.device_kind;
    return describe_served_cuda(options.device_index).ok() ? MMOE_DEVICE_CUDA : MMOE_DEVICE_CPU;
}

Result<std::shared_ptr<Context>> make_context(const mmoe_context_options& options) {
    const mmoe_device_kind kind = choose_kind(options);
    TRY(check_index(kind, options.device_index));
    if (options.log_level < MMOE_LOG_OFF || options.log_level > MMOE_LOG_DEBUG) {
        return Status::error(Code::kInvalidArgument, "log_level: expected 0 to %d, got %d",
                             MMOE_LOG_DEBUG, options.log_level);
    }
    auto context = std::make_shared<Context>();
    context->kind = static_cast<DeviceKind>(kind);
    context->index = options.device_index;
    TRY(context->allocator, choose_allocator(options.host_allocator, "host_allocator"));
    TRY(const std::shared_ptr<const Allocator> device_allocator,
        choose_allocator(options.device_allocator, "device_allocator"));
    if (options.device_allocator.allocate != nullptr) context->device_allocator = device_allocator;
    if (context->kind == DeviceKind::kCuda) {
        TRY(context->cuda, describe_served_cuda(context->index));
        TRY(context->place, cuda_place(context->index));
    }
    TRY(context->parallel,
        Parallel::create(options.thread_count, options.parallel_for, options.parallel_for_user));
    context->budget = std::make_shared<Budget>(options.memory_budget_bytes);
    context->log = Log(options.log, options.log_user, static_cast<LogLevel>(options.log_level));
    TRY(context->tier, choose_tier(options.cpu_tier));
    const bool cuda = context->kind == DeviceKind::kCuda;
    context->log.line(LogLevel::kInfo, "context on %s; on the host %s, %u threads",
                      cuda ? context->cuda.name : "the CPU", cpu::tier_name(context->tier),
                      context->parallel->thread_count());
    return context;
}

mmoe_device_description describe_cpu_device() noexcept {
    const CpuDescription cpu = describe_cpu();
    mmoe_device_description filled = {};
    filled.kind = MMOE_DEVICE_CPU;
    filled.processor_count = cpu.thread_count;
    filled.memory_bytes = cpu.memory_bytes;
    filled.memory_free_bytes = cpu.memory_free_bytes;
    filled.cpu_tier = static_cast<mmoe_cpu_tier>(cpu::usable_tier());
    static_assert(sizeof filled.name == sizeof cpu.name);
    std::memcpy(filled.name, cpu.name, sizeof filled.name);
    return filled;
}

Result<mmoe_device_description> describe_cuda_device(uint32_t index) {
    TRY(const CudaDescription device, describe_cuda(index));
    mmoe_device_description filled = {};
    filled.kind = MMOE_DEVICE_CUDA;
    filled.index = static_cast<int32_t>(index);
    filled.processor_count = device.multiprocessor_count;
    filled.memory_bytes = device.memory_bytes;
    filled.memory_free_bytes = device.memory_free_bytes;
    filled.compute_major = device.compute_major;
    filled.compute_minor = device.compute_minor;
    filled.shared_memory_bytes = device.shared_memory_bytes;
    static_assert(sizeof filled.uuid == sizeof device.uuid);
    std::memcpy(filled.uuid, device.uuid, sizeof filled.uuid);
    static_assert(sizeof filled.luid == sizeof device.luid);
    std::memcpy(filled.luid, device.luid, sizeof filled.luid);
    static_assert(sizeof filled.name == sizeof device.name);
    std::memcpy(filled.name, device.name, sizeof filled.name);
    return filled;
}

// Of a device that is there.
Result<mmoe_device_description> describe_device(mmoe_device_kind kind, uint32_t index) {
    if (kind == MMOE_DEVICE_CPU) return describe_cpu_device();
    return describe_cuda_device(index);
}

}  // namespace

mmoe_status mmoe_device_count(mmoe_device_kind kind, uint32_t* count, mmoe_error* error) {
    if (count != nullptr) *count = 0;
    return call(error, [&]() -> Status {
        TRY(require_not_null(count, "count"));
        TRY(*count, count_devices(kind));
        return {};
    });
}

mmoe_status mmoe_device_info(mmoe_device_kind kind, uint32_t index,
                             mmoe_device_description* description, mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_not_null(description, "description"));
        TRY(check_output(description, "description"));
        TRY(check_index(kind, index));
        TRY(const mmoe_device_description filled, describe_device(kind, index));
        write_output(filled, description);
        return {};
    });
}

mmoe_status mmoe_context_create(const mmoe_context_options* options, mmoe_context** out,
                                mmoe_error* error) {
    if (out != nullptr) *out = nullptr;
    return call(error, [&]() -> Status {
        TRY(require_not_null(out, "out"));
        mmoe_context_options known;
        TRY(read_options(options, "options", &known));
        TRY(std::shared_ptr<Context> context, make_context(known));
        *out = new mmoe_context(std::move(context));
        return {};
    });
}

mmoe_status mmoe_context_info(const mmoe_context* context, mmoe_device_description* description,
                              mmoe_error* error) {
    return call(error, [&]() -> Status {
        TRY(require_handle(context, "context"));
        TRY(require_not_null(description, "description"));
        TRY(check_output(description, "description"));
        const Context& inside = *context->object;
        TRY(const mmoe_device_description filled,
            describe_device(static_cast<mmoe_device_kind>(inside.kind),
                            static_cast<uint32_t>(inside.index)));
        write_output(filled, description);
        return {};
    });
}

void mmoe_context_destroy(mmoe_context* context) {
    delete context;
}
