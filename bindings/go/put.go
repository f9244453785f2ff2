// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include <stdlib.h>
// #include "helpers.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// ExpertTensor is one tensor of an expert, for Put. Make it with TensorOf.
type ExpertTensor struct {
	projection Projection
	role       Role
	dtype      DType
	shape      []int
	bytes      []byte // a view of the caller's slice
}

// TensorOf views a slice as one tensor of an expert, whole, in the packing of the quant config's
// format. The product of the shape is the length of the slice.
func TensorOf[T Element](projection Projection, role Role, data []T, shape ...int) (ExpertTensor, error) {
	count := 1
	for _, size := range shape {
		count *= size
	}
	if len(shape) < 1 || len(shape) > 2 || count != len(data) {
		return ExpertTensor{}, invalid(fmt.Sprintf("tensor: expected %d elements for %v, got %d", count,
			shape, len(data)))
	}
	var element T
	size := len(data) * int(unsafe.Sizeof(element))
	return ExpertTensor{projection, role, dtypeOf[T](), shape,
		unsafe.Slice((*byte)(address(data)), size)}, nil
}

// Put puts one expert, every tensor of it, over what it was or into a free slot. Every value is
// checked before a byte changes. The tensors go through memory of C, because the library's
// structure for them would hold pointers to Go's; PutFrom needs no such copy.
func (b *Bundle) Put(expert uint32, tensors []ExpertTensor) error {
	defer runtime.KeepAlive(b)
	if len(tensors) == 0 {
		return invalid("tensors: expected every tensor of the expert, got none")
	}
	size := C.size_t(len(tensors)) * C.sizeof_mmoe_expert_tensor
	raw := unsafe.Slice((*C.mmoe_expert_tensor)(C.calloc(1, size)), len(tensors))
	defer C.free(unsafe.Pointer(&raw[0]))
	for i, tensor := range tensors {
		raw[i].projection = C.mmoe_projection(tensor.projection)
		raw[i].role = C.mmoe_role(tensor.role)
		raw[i].tensor.dtype = C.mmoe_dtype(tensor.dtype)
		raw[i].tensor.rank = C.int32_t(len(tensor.shape))
		for axis, elements := range tensor.shape {
			raw[i].tensor.shape[axis] = C.int64_t(elements)
		}
		raw[i].tensor.data = C.CBytes(tensor.bytes)
		defer C.free(raw[i].tensor.data)
	}
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_bundle_put(b.handle, C.uint32_t(expert), &raw[0], C.uint32_t(len(raw)), failure)
	})
}
