// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include <stdlib.h>
// #include "helpers.h"
import "C"

import (
	"fmt"
	"runtime"
	"runtime/cgo"
	"unsafe"
)

// Projection is one linear layer of an expert.
type Projection int32

// Projections of an expert.
const (
	Gate Projection = C.MMOE_PROJECTION_GATE
	Up   Projection = C.MMOE_PROJECTION_UP
	Down Projection = C.MMOE_PROJECTION_DOWN
)

// Role is what a tensor is to a projection.
type Role int32

// Roles of tensors.
const (
	Weight     Role = C.MMOE_ROLE_WEIGHT
	Scale      Role = C.MMOE_ROLE_SCALE
	ZeroPoint  Role = C.MMOE_ROLE_ZERO_POINT
	GroupIndex Role = C.MMOE_ROLE_GROUP_INDEX
	Bias       Role = C.MMOE_ROLE_BIAS
)

// BundleOptions are the options of a bundle. The zero value is the whole layer, all of it resident.
type BundleOptions struct {
	Split Split  // the part of the layer that the bundle holds
	Slots uint32 // experts resident at a time; 0: all. With fewer it starts without any: see Put
}

func (o BundleOptions) raw() C.mmoe_bundle_options {
	return C.mmoe_bundle_options{
		struct_size: C.sizeof_mmoe_bundle_options, slot_count: C.uint32_t(o.Slots), split: o.Split.raw(),
	}
}

// Bundle holds the repacked expert weights of one layer. Goroutines may share it; whole experts may
// be exchanged while no run uses it.
type Bundle struct {
	handle *C.mmoe_bundle
	users  *users
}

func bundleOf(context *Context, handle *C.mmoe_bundle) *Bundle {
	bundle := &Bundle{handle, context.users.retain()}
	runtime.KeepAlive(context)
	runtime.SetFinalizer(bundle, func(b *Bundle) { b.Close() })
	return bundle
}

// LoadBundle loads, repacks and seals one layer of a checkpoint. Progress, which may be nil, gets
// done and total bytes and returns whether to go on; if it panics, the load stops and LoadBundle
// panics with the same value. LoadBundleContext has cancellation by a context instead.
func LoadBundle(context *Context, checkpoint *Checkpoint, layer uint32, options BundleOptions,
	progress func(done, total uint64) bool) (*Bundle, error) {
	report := &progressReport{call: progress}
	var user cgo.Handle
	if progress != nil {
		user = cgo.NewHandle(report)
		defer user.Delete()
	}
	var handle *C.mmoe_bundle
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_bundle_load(context.handle, checkpoint.handle, C.uint32_t(layer),
			options.raw(), C.uintptr_t(user), &handle, failure)
	})
	runtime.KeepAlive(checkpoint)
	if report.panicked != nil {
		C.go_mmoe_bundle_destroy(handle)
		panic(report.panicked)
	}
	if err != nil {
		return nil, err
	}
	return bundleOf(context, handle), nil
}

// progressReport carries a progress function to the library's callback, and its panic back.
type progressReport struct {
	call     func(done, total uint64) bool
	panicked any
}

// goOn calls the function; C code is on the stack, so no panic may pass.
func (r *progressReport) goOn(done, total uint64) (goOn bool) {
	defer func() {
		if r.panicked = recover(); r.panicked != nil {
			goOn = false
		}
	}()
	return r.call(done, total)
}

// OpenBundle opens what Save wrote.
func OpenBundle(context *Context, path string) (*Bundle, error) {
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	var handle *C.mmoe_bundle
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_open(context.handle, cPath, nil, &handle, failure)
	})
	if err != nil {
		return nil, err
	}
	return bundleOf(context, handle), nil
}

// Save writes the bundle to one file, whole or not at all.
func (b *Bundle) Save(path string) error {
	defer runtime.KeepAlive(b)
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_save(b.handle, cPath, failure)
	})
}

// Layer describes the whole layer.
func (b *Bundle) Layer() (Layer, error) {
	defer runtime.KeepAlive(b)
	raw := Layer{}.raw()
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_info(b.handle, &raw, nil, failure)
	})
	return layerOf(raw), err
}

// BundleInfo describes a bundle.
type BundleInfo struct {
	Layer                 Layer  // the whole layer
	Experts               uint32 // of the split
	FirstExpert           uint32 // global number of the first of them
	ResidentExperts       uint32 // here now
	Slots                 uint32 // that can be here at a time
	LocalIntermediateSize uint32 // I of this tensor-parallel rank
	ResidentBytes         uint64
}

// Info describes the bundle.
func (b *Bundle) Info() (BundleInfo, error) {
	defer runtime.KeepAlive(b)
	layer := Layer{}.raw()
	raw := C.mmoe_bundle_description{struct_size: C.sizeof_mmoe_bundle_description}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_info(b.handle, &layer, &raw, failure)
	})
	return BundleInfo{
		Layer: layerOf(layer), Experts: uint32(raw.expert_count), FirstExpert: uint32(raw.first_expert),
		ResidentExperts: uint32(raw.resident_count), Slots: uint32(raw.slot_count),
		LocalIntermediateSize: uint32(raw.local_intermediate_size),
		ResidentBytes:         uint64(raw.resident_bytes),
	}, err
}

// PutFrom puts one expert of a checkpoint over what it was, or into a free slot. If the file is bad
// the expert is no longer resident.
func (b *Bundle) PutFrom(checkpoint *Checkpoint, layer, expert uint32) error {
	defer runtime.KeepAlive(b)
	defer runtime.KeepAlive(checkpoint)
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_put_from(b.handle, checkpoint.handle, C.uint32_t(layer),
			C.uint32_t(expert), failure)
	})
}

// Evict takes one expert out: its slot is free, and ids of it are skipped.
func (b *Bundle) Evict(expert uint32) error {
	defer runtime.KeepAlive(b)
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_evict(b.handle, C.uint32_t(expert), failure)
	})
}

// Close drops the reference; a run in progress keeps the weights.
func (b *Bundle) Close() error {
	if b.handle != nil {
		C.go_mmoe_bundle_destroy(b.handle)
		b.handle = nil
		b.users.release()
		runtime.SetFinalizer(b, nil)
	}
	return nil
}

// BundleBuilder is a bundle that is being filled.
type BundleBuilder struct{ bundle *Bundle }

// NewBundleBuilder makes an empty bundle.
func NewBundleBuilder(context *Context, config *QuantConfig, layer Layer,
	options BundleOptions) (*BundleBuilder, error) {
	rawLayer, rawOptions := layer.raw(), options.raw()
	var handle *C.mmoe_bundle
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_create(context.handle, config.handle, &rawLayer, &rawOptions, &handle, failure)
	})
	runtime.KeepAlive(config)
	if err != nil {
		return nil, err
	}
	return &BundleBuilder{bundleOf(context, handle)}, nil
}

// Set gives the bundle one tensor, whole, in the packing of the quant config's format. The shape
// is rows and columns, or for a vector its length and 0.
func Set[T Element](b *BundleBuilder, expert uint32, projection Projection, role Role, data []T,
	rows, columns int) error {
	defer runtime.KeepAlive(b)
	count := rows * columns
	if columns == 0 {
		count = rows
	}
	if count != len(data) {
		return invalid(fmt.Sprintf("tensor: expected %d elements for [%d, %d], got %d", count, rows,
			columns, len(data)))
	}
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_bundle_set(b.bundle.handle, C.uint32_t(expert), C.mmoe_projection(projection),
			C.mmoe_role(role), address(data), C.mmoe_dtype(dtypeOf[T]()), C.int64_t(rows),
			C.int64_t(columns), failure)
	})
}

// Seal ends filling. On success the builder is used up.
func (b *BundleBuilder) Seal() (*Bundle, error) {
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_seal(b.bundle.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	bundle := b.bundle
	b.bundle = nil
	return bundle, nil
}

// Close gives up a bundle that was not sealed.
func (b *BundleBuilder) Close() error {
	if b.bundle != nil {
		return b.bundle.Close()
	}
	return nil
}
