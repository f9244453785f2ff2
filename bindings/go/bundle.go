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

// Checkpoint is a model directory, read-only.
type Checkpoint struct {
	handle *C.mmoe_checkpoint
	users  *users
}

// OpenCheckpoint opens a directory with config.json and safetensors shards, or one shard.
func OpenCheckpoint(context *Context, path string) (*Checkpoint, error) {
	cPath := C.CString(path)
	defer C.free(unsafe.Pointer(cPath))
	checkpoint := &Checkpoint{}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_open(context.handle, cPath, nil, &checkpoint.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	checkpoint.users = context.users.retain()
	runtime.KeepAlive(context)
	runtime.SetFinalizer(checkpoint, func(c *Checkpoint) { c.Close() })
	return checkpoint, nil
}

// LayerCount is the number of MoE layers; dense layers are not counted.
func (c *Checkpoint) LayerCount() uint32 {
	defer runtime.KeepAlive(c)
	return uint32(C.go_mmoe_checkpoint_layer_count(c.handle))
}

// Layer describes one MoE layer without reading its weights.
func (c *Checkpoint) Layer(index uint32) (Layer, *QuantConfig, error) {
	defer runtime.KeepAlive(c)
	raw := Layer{}.raw()
	var config *C.mmoe_quant_config
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_layer_info(c.handle, C.uint32_t(index), &raw, nil, &config, failure)
	})
	if err != nil {
		return Layer{}, nil, err
	}
	return layerOf(raw), quantConfigOf(config), nil
}

// Close drops the reference.
func (c *Checkpoint) Close() error {
	if c.handle != nil {
		C.go_mmoe_checkpoint_destroy(c.handle)
		c.handle = nil
		c.users.release()
		runtime.SetFinalizer(c, nil)
	}
	return nil
}

// Bundle holds the repacked expert weights of one layer.
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
// done and total bytes and returns whether to go on.
func LoadBundle(context *Context, checkpoint *Checkpoint, layer uint32, split Split,
	progress func(done, total uint64) bool) (*Bundle, error) {
	var user cgo.Handle
	if progress != nil {
		user = cgo.NewHandle(progress)
		defer user.Delete()
	}
	var handle *C.mmoe_bundle
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_bundle_load(context.handle, checkpoint.handle, C.uint32_t(layer),
			split.raw(), C.uintptr_t(user), &handle, failure)
	})
	runtime.KeepAlive(checkpoint)
	if err != nil {
		return nil, err
	}
	return bundleOf(context, handle), nil
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
func NewBundleBuilder(context *Context, config *QuantConfig, layer Layer, split Split) (*BundleBuilder, error) {
	rawLayer := layer.raw()
	options := C.mmoe_bundle_options{struct_size: C.sizeof_mmoe_bundle_options, split: split.raw()}
	var handle *C.mmoe_bundle
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_create(context.handle, config.handle, &rawLayer, &options, &handle, failure)
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
