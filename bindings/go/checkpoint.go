// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include <stdlib.h>
// #include "helpers.h"
import "C"

import (
	"runtime"
	"unsafe"
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

// CheckpointLayer is one MoE layer of a checkpoint.
type CheckpointLayer struct {
	Layer      Layer        // its shape and arithmetic
	Config     *QuantConfig // how its weights are quantised; to be closed
	ModelLayer uint32       // its number in tensor names
	TopK       uint32       // experts chosen per token; 0: the checkpoint does not say
}

// Layer describes one MoE layer without reading its weights.
func (c *Checkpoint) Layer(index uint32) (CheckpointLayer, error) {
	defer runtime.KeepAlive(c)
	raw := Layer{}.raw()
	place := C.mmoe_layer_place{struct_size: C.sizeof_mmoe_layer_place}
	var config *C.mmoe_quant_config
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_layer_info(c.handle, C.uint32_t(index), &raw, &place, &config,
			failure)
	})
	if err != nil {
		return CheckpointLayer{}, err
	}
	return CheckpointLayer{
		Layer: layerOf(raw), Config: quantConfigOf(config), ModelLayer: uint32(place.model_layer),
		TopK: uint32(place.top_k),
	}, nil
}

// TensorInfo is one tensor of a checkpoint.
type TensorInfo struct {
	Name      string
	Type      DType
	Shape     []int64
	ByteCount uint64
}

func tensorInfoOf(raw *C.mmoe_tensor_info) TensorInfo {
	info := TensorInfo{
		Name: C.GoString(raw.name), Type: DType(raw.dtype), ByteCount: uint64(raw.byte_count),
	}
	for _, size := range raw.shape[:raw.rank] {
		info.Shape = append(info.Shape, int64(size))
	}
	return info
}

// Tensors describes every tensor, in order of name, from headers alone.
func (c *Checkpoint) Tensors() ([]TensorInfo, error) {
	defer runtime.KeepAlive(c)
	infos := make([]TensorInfo, C.go_mmoe_checkpoint_tensor_count(c.handle))
	for i := range infos {
		raw := C.mmoe_tensor_info{struct_size: C.sizeof_mmoe_tensor_info}
		err := check(func(failure *C.mmoe_error) C.mmoe_status {
			return C.go_mmoe_checkpoint_tensor_at(c.handle, C.uint64_t(i), &raw, failure)
		})
		if err != nil {
			return nil, err
		}
		infos[i] = tensorInfoOf(&raw)
	}
	return infos, nil
}

// Tensor describes the tensor of a name.
func (c *Checkpoint) Tensor(name string) (TensorInfo, error) {
	defer runtime.KeepAlive(c)
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	raw := C.mmoe_tensor_info{struct_size: C.sizeof_mmoe_tensor_info}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_tensor_find(c.handle, cName, &raw, failure)
	})
	if err != nil {
		return TensorInfo{}, err
	}
	return tensorInfoOf(&raw), nil
}

// Read reads the whole tensor of a name: little-endian elements, row-major.
func (c *Checkpoint) Read(name string) ([]byte, error) {
	info, err := c.Tensor(name)
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.ByteCount)
	return data, c.ReadInto(name, data)
}

// ReadInto reads the whole tensor of a name into memory of the caller, at least its ByteCount.
func (c *Checkpoint) ReadInto(name string, data []byte) error {
	defer runtime.KeepAlive(c)
	cName := C.CString(name)
	defer C.free(unsafe.Pointer(cName))
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_tensor_read(c.handle, cName, address(data), C.size_t(len(data)),
			failure)
	})
}

// Dequantize unpacks one projection of one expert to plain numbers, [N, K].
func (c *Checkpoint) Dequantize(layer, expert uint32, projection Projection) ([]float32, error) {
	defer runtime.KeepAlive(c)
	raw := Layer{}.raw()
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_layer_info(c.handle, C.uint32_t(layer), &raw, nil, nil, failure)
	})
	if err != nil {
		return nil, err
	}
	weights := make([]float32, uint64(raw.hidden_size)*uint64(raw.intermediate_size))
	err = check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_checkpoint_dequantize(c.handle, C.uint32_t(layer), C.uint32_t(expert),
			C.mmoe_projection(projection), (*C.float)(address(weights)), C.size_t(len(weights)), failure)
	})
	return weights, err
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
