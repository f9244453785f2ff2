// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// DType is the element type of a tensor.
type DType int32

// Element types.
const (
	TypeF32  DType = C.MMOE_DTYPE_F32
	TypeF16  DType = C.MMOE_DTYPE_F16
	TypeBF16 DType = C.MMOE_DTYPE_BF16
	TypeI32  DType = C.MMOE_DTYPE_I32
	TypeI64  DType = C.MMOE_DTYPE_I64
	TypeU8   DType = C.MMOE_DTYPE_U8
	TypeI8   DType = C.MMOE_DTYPE_I8
)

// F16 is the bits of an IEEE binary16 number.
type F16 uint16

// BF16 is the bits of a bfloat16 number.
type BF16 uint16

// Element is a Go type that is an element type of the library.
type Element interface {
	float32 | F16 | BF16 | int32 | int8 | uint8
}

func dtypeOf[T Element]() DType {
	var element T
	switch any(element).(type) {
	case F16:
		return TypeF16
	case BF16:
		return TypeBF16
	case int32:
		return TypeI32
	case int8:
		return TypeI8
	case uint8:
		return TypeU8
	default:
		return TypeF32
	}
}

// nothing is a valid address for slices without elements.
var nothing [1]uint64

func address[T Element](data []T) unsafe.Pointer {
	if len(data) == 0 {
		return unsafe.Pointer(&nothing[0])
	}
	return unsafe.Pointer(&data[0])
}

// Precision says which arithmetic the executor may use.
type Precision int32

// Precisions.
const (
	PrecisionDefault Precision = C.MMOE_PRECISION_DEFAULT
	PrecisionExact   Precision = C.MMOE_PRECISION_EXACT
	PrecisionInt8    Precision = C.MMOE_PRECISION_INT8 // 8-bit activations permitted
)

// ExecutorOptions are the options of NewExecutor. MaxTokens and MaxTopK are required.
type ExecutorOptions struct {
	MaxTokens, MaxTopK uint32
	Hidden             DType // 0: bf16
	Output             DType // 0: as Hidden
	Precision          Precision
}

func (options ExecutorOptions) raw() C.mmoe_executor_options {
	return C.mmoe_executor_options{
		struct_size:  C.sizeof_mmoe_executor_options,
		max_tokens:   C.uint32_t(options.MaxTokens),
		max_top_k:    C.uint32_t(options.MaxTopK),
		hidden_dtype: C.mmoe_dtype(options.Hidden),
		output_dtype: C.mmoe_dtype(options.Output),
		precision:    C.mmoe_precision(options.Precision),
	}
}

// Executor holds the chosen kernels and their workspace. It serves one call at a time.
type Executor struct {
	handle *C.mmoe_executor
	users  *users
}

// NewExecutor allocates a workspace for layers as large as the bundle's.
func NewExecutor(context *Context, bundle *Bundle, options ExecutorOptions) (*Executor, error) {
	raw := options.raw()
	executor := &Executor{}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_executor_create(context.handle, bundle.handle, &raw, &executor.handle, failure)
	})
	runtime.KeepAlive(bundle)
	if err != nil {
		return nil, err
	}
	executor.users = context.users.retain()
	runtime.KeepAlive(context)
	runtime.SetFinalizer(executor, func(e *Executor) { e.Close() })
	return executor, nil
}

// RunArgs are the operands of Run. T is the number of ids divided by TopK.
type RunArgs[X, Y Element] struct {
	Hidden        []X       // [T, H]
	ExpertIDs     []int32   // [T, TopK]; an expert that does not exist is skipped
	ExpertWeights []float32 // [T, TopK]
	TopK          int
	ExpertMap     []int32 // what an id stands for; nil: ids are experts
	Output        []Y     // [T, H]
}

// Run computes one layer on the CPU.
func Run[X, Y Element](e *Executor, bundle *Bundle, args RunArgs[X, Y]) error {
	layer, err := bundle.Layer()
	if err != nil {
		return err
	}
	hidden, tokens := int(layer.HiddenSize), 0
	if args.TopK > 0 {
		tokens = len(args.ExpertIDs) / args.TopK
	}
	for _, row := range []struct {
		name          string
		got, expected int
	}{
		{"Hidden", len(args.Hidden), tokens * hidden},
		{"ExpertIDs", len(args.ExpertIDs), tokens * args.TopK},
		{"ExpertWeights", len(args.ExpertWeights), tokens * args.TopK},
		{"Output", len(args.Output), tokens * hidden},
	} {
		if row.got != row.expected {
			return invalid(fmt.Sprintf("%s: expected %d elements for %d tokens, got %d", row.name,
				row.expected, tokens, row.got))
		}
	}
	shape := C.struct_marlin_moe_go_shape{
		tokens: C.int64_t(tokens), top_k: C.int64_t(args.TopK), hidden_size: C.int64_t(hidden),
		map_size:     C.int64_t(len(args.ExpertMap)),
		hidden_dtype: C.mmoe_dtype(dtypeOf[X]()), output_dtype: C.mmoe_dtype(dtypeOf[Y]()),
	}
	var expertMap unsafe.Pointer
	if args.ExpertMap != nil {
		expertMap = address(args.ExpertMap)
	}
	defer runtime.KeepAlive(e)
	defer runtime.KeepAlive(bundle)
	return check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.marlin_moe_go_run(e.handle, bundle.handle, shape, address(args.Hidden),
			address(args.ExpertIDs), address(args.ExpertWeights), expertMap, address(args.Output),
			failure)
	})
}

// Explain tells which kernels serve T tokens of a bundle, and why each better one was passed over.
func (e *Executor) Explain(bundle *Bundle, tokens uint32) string {
	defer runtime.KeepAlive(e)
	defer runtime.KeepAlive(bundle)
	return readText(func(text *C.char, size C.size_t) C.size_t {
		return C.go_mmoe_executor_explain(e.handle, bundle.handle, C.uint32_t(tokens), text, size)
	})
}

// Close drops the reference.
func (e *Executor) Close() error {
	if e.handle != nil {
		C.go_mmoe_executor_destroy(e.handle)
		e.handle = nil
		e.users.release()
		runtime.SetFinalizer(e, nil)
	}
	return nil
}
