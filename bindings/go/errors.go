// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import "errors"

// Categories of an Error, for errors.Is.
var (
	ErrInvalidArgument = errors.New("invalid argument")
	ErrOutOfMemory     = errors.New("out of memory")
	ErrIO              = errors.New("input or output")
	ErrBadData         = errors.New("bad data")
	ErrUnsupported     = errors.New("unsupported")
	ErrDevice          = errors.New("device")
	ErrInternal        = errors.New("internal")
)

// Statuses that programs act on, for Error.Status.
const (
	StatusState         int32 = C.MMOE_ERR_STATE
	StatusBusy          int32 = C.MMOE_ERR_BUSY
	StatusCancelled     int32 = C.MMOE_ERR_CANCELLED
	StatusMemoryBudget  int32 = C.MMOE_ERR_MEMORY_BUDGET
	StatusNotFound      int32 = C.MMOE_ERR_NOT_FOUND
	StatusMissingTensor int32 = C.MMOE_ERR_MISSING_TENSOR
	StatusNoDevice      int32 = C.MMOE_ERR_NO_DEVICE
	StatusDriverTooOld  int32 = C.MMOE_ERR_DRIVER_TOO_OLD
)

var categories = map[int32]error{
	1: ErrInvalidArgument, 2: ErrOutOfMemory, 3: ErrIO, 4: ErrBadData, 5: ErrUnsupported,
	6: ErrDevice, 7: ErrInternal,
}

// Error is a failed call of the library.
type Error struct {
	Status     int32  // one of the MMOE_ERR_* values of marlin_moe.h
	Message    string // which thing, what was expected, what was got
	Errno      int32  // of a refused system call, else 0
	CUDAError  int32  // of a failed CUDA call, else 0
	FileOffset uint64 // where in the file that Message names; ^uint64(0): nowhere
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the category, so that errors.Is(err, ErrUnsupported) works.
func (e *Error) Unwrap() error { return categories[e.Status/1000] }

// check runs a call that takes an error, and turns its status into a Go error.
func check(call func(failure *C.mmoe_error) C.mmoe_status) error {
	failure := C.mmoe_error{struct_size: C.sizeof_mmoe_error}
	status := call(&failure)
	if status == C.MMOE_OK {
		return nil
	}
	return &Error{
		Status:     int32(status),
		Message:    C.GoString(&failure.message[0]),
		Errno:      int32(failure.os_errno),
		CUDAError:  int32(failure.cuda_error),
		FileOffset: uint64(failure.file_offset),
	}
}

func invalid(message string) error {
	return &Error{Status: C.MMOE_ERR_INVALID_ARGUMENT, Message: message, FileOffset: ^uint64(0)}
}
