// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import "runtime"

// MemoryPlan is the bytes that an object takes.
type MemoryPlan struct {
	ResidentBytes uint64 // kept on the context's device
	ScratchBytes  uint64 // host memory at most, beside that, while it is made
}

func planOf(call func(plan *C.mmoe_memory_plan, failure *C.mmoe_error) C.mmoe_status) (MemoryPlan, error) {
	raw := C.mmoe_memory_plan{struct_size: C.sizeof_mmoe_memory_plan}
	err := check(func(failure *C.mmoe_error) C.mmoe_status { return call(&raw, failure) })
	return MemoryPlan{uint64(raw.resident_bytes), uint64(raw.scratch_bytes)}, err
}

// PlanBundle computes the bytes of a bundle before it is made, from shapes alone.
func PlanBundle(context *Context, config *QuantConfig, layer Layer, options BundleOptions) (MemoryPlan, error) {
	defer runtime.KeepAlive(context)
	defer runtime.KeepAlive(config)
	rawLayer, rawOptions := layer.raw(), options.raw()
	return planOf(func(plan *C.mmoe_memory_plan, failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_plan(context.handle, config.handle, &rawLayer, &rawOptions, plan, failure)
	})
}

// PlanExecutor computes the bytes of an executor's workspace before it is made.
func PlanExecutor(context *Context, config *QuantConfig, layer Layer, options ExecutorOptions) (MemoryPlan, error) {
	defer runtime.KeepAlive(context)
	defer runtime.KeepAlive(config)
	rawLayer, rawOptions := layer.raw(), options.raw()
	return planOf(func(plan *C.mmoe_memory_plan, failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_executor_plan(context.handle, config.handle, &rawLayer, &rawOptions, plan,
			failure)
	})
}
