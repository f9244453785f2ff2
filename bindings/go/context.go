// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import (
	"runtime"
	"runtime/cgo"
)

// LogLevel is the severity of a log line.
type LogLevel int32

// Severities.
const (
	LogOff     LogLevel = C.MMOE_LOG_OFF
	LogWarning LogLevel = C.MMOE_LOG_WARNING
	LogInfo    LogLevel = C.MMOE_LOG_INFO
	LogDebug   LogLevel = C.MMOE_LOG_DEBUG
)

// DeviceKind is a kind of device.
type DeviceKind int32

// Kinds of devices. DeviceAny is CUDA if a device is usable, else the CPU.
const (
	DeviceAny  DeviceKind = 0
	DeviceCPU  DeviceKind = C.MMOE_DEVICE_CPU
	DeviceCUDA DeviceKind = C.MMOE_DEVICE_CUDA
)

// CPUTier is the highest instruction set that the CPU backend may use.
type CPUTier int32

// Tiers; TierBest is everything that processor and system offer.
const (
	TierBest       CPUTier = C.MMOE_CPU_TIER_BEST
	TierScalar     CPUTier = C.MMOE_CPU_TIER_SCALAR
	TierAVX2       CPUTier = C.MMOE_CPU_TIER_AVX2
	TierAVX512     CPUTier = C.MMOE_CPU_TIER_AVX512
	TierAVX512BF16 CPUTier = C.MMOE_CPU_TIER_AVX512_BF16
	TierAVXVNNI    CPUTier = C.MMOE_CPU_TIER_AVX_VNNI
	TierAMXBF16    CPUTier = C.MMOE_CPU_TIER_AMX_BF16
	TierNEON       CPUTier = C.MMOE_CPU_TIER_NEON
	TierNEONDot    CPUTier = C.MMOE_CPU_TIER_NEON_DOT
	TierNEONBF16   CPUTier = C.MMOE_CPU_TIER_NEON_BF16
)

// ContextOptions are the options of NewContext. The zero value has every default.
type ContextOptions struct {
	Device            DeviceKind
	DeviceIndex       int32
	Threads           uint32 // CPU threads of one run; 0: one a hardware thread
	MemoryBudgetBytes uint64 // of bundles and workspaces; 0: no limit
	CPUTier           CPUTier
	LogLevel          LogLevel
	Log               func(level LogLevel, line string) // on any thread
}

// Context is one device with its memory and threads.
type Context struct {
	handle *C.mmoe_context
	log    cgo.Handle // 0: none
	users  *users
}

func bestDevice() DeviceKind {
	var count C.uint32_t
	if C.go_mmoe_device_count(C.MMOE_DEVICE_CUDA, &count, nil) == C.MMOE_OK && count > 0 {
		return DeviceCUDA
	}
	return DeviceCPU
}

// NewContext binds the library to one device.
func NewContext(options ContextOptions) (*Context, error) {
	device := options.Device
	if device == DeviceAny {
		device = bestDevice()
	}
	raw := C.mmoe_context_options{
		struct_size:         C.sizeof_mmoe_context_options,
		device_kind:         C.mmoe_device_kind(device),
		device_index:        C.int32_t(options.DeviceIndex),
		thread_count:        C.uint32_t(options.Threads),
		memory_budget_bytes: C.uint64_t(options.MemoryBudgetBytes),
		log_level:           C.mmoe_log_level(options.LogLevel),
		cpu_tier:            C.mmoe_cpu_tier(options.CPUTier),
	}
	context := &Context{}
	if options.Log != nil {
		context.log = cgo.NewHandle(options.Log)
	}
	context.users = newUsers(context.log)
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_context_create(raw, C.uintptr_t(context.log), &context.handle, failure)
	})
	if err != nil {
		context.users.release()
		return nil, err
	}
	runtime.SetFinalizer(context, func(c *Context) { c.Close() })
	return context, nil
}

// Close drops the reference; objects made with the context keep it alive.
func (c *Context) Close() error {
	if c.handle != nil {
		C.go_mmoe_context_destroy(c.handle)
		c.handle = nil
		c.users.release()
		runtime.SetFinalizer(c, nil)
	}
	return nil
}

//export marlinMoeLog
func marlinMoeLog(handle C.uintptr_t, level C.mmoe_log_level, line *C.char) {
	// C code is on the stack, so no panic may pass: a log function that panics harms nobody.
	defer func() { _ = recover() }()
	log := cgo.Handle(handle).Value().(func(LogLevel, string))
	log(LogLevel(level), C.GoString(line))
}

//export marlinMoeProgress
func marlinMoeProgress(handle C.uintptr_t, done, total C.uint64_t) C.int32_t {
	if cgo.Handle(handle).Value().(*progressReport).goOn(uint64(done), uint64(total)) {
		return 0
	}
	return 1
}
