// SPDX-License-Identifier: Apache-2.0

// Package marlinmoe runs quantised mixture-of-experts (MoE) layers on libmarlin_moe.
//
// Load opens the library once for the process. The objects are those of the C interface, in the
// order of use: Context, QuantConfig, Checkpoint, Bundle, Executor. Each is ended with Close, in
// any order; one that is forgotten is closed by the garbage collector. All but the executor and
// a BundleBuilder are immutable and may be shared by goroutines. Operands are slices, so Run is
// for the CPU backend.
package marlinmoe

/*
#cgo CFLAGS: -std=gnu99 -I${SRCDIR}/../../include
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "helpers.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"
)

// LibraryName is the file name under which the system's loader knows the library.
const LibraryName = "libmarlin_moe.so.0"

var (
	loadMutex sync.Mutex
	loaded    bool
)

// Load opens the library: from path, or if it is empty from the environment variable
// MARLIN_MOE_LIBRARY, else LibraryName. Once it has succeeded, later calls do nothing. Nothing
// else of this package may be used before.
func Load(path string) error {
	loadMutex.Lock()
	defer loadMutex.Unlock()
	if loaded {
		return nil
	}
	if path == "" {
		path = os.Getenv("MARLIN_MOE_LIBRARY")
	}
	if path == "" {
		path = LibraryName
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if text := C.marlin_moe_go_open(name); text != nil {
		defer C.free(unsafe.Pointer(text))
		return errors.New(C.GoString(text))
	}
	version := uint32(C.go_mmoe_version())
	if version>>16 != C.MMOE_VERSION_MAJOR || version>>8&0xFF != C.MMOE_VERSION_MINOR {
		return fmt.Errorf("%s: expected version %d.%d, got %s", path,
			C.MMOE_VERSION_MAJOR, C.MMOE_VERSION_MINOR, Version())
	}
	loaded = true
	return nil
}

// Version is the loaded library's version, such as "0.1.0".
func Version() string {
	return C.GoString(C.go_mmoe_version_string())
}

// Describe says how the library was built: what belongs into a bug report.
func Describe() string {
	return readText(func(text *C.char, size C.size_t) C.size_t {
		return C.go_mmoe_build_describe(text, size)
	})
}

// readText asks for the size of a text, then for the text.
func readText(call func(text *C.char, size C.size_t) C.size_t) string {
	size := call(nil, 0)
	text := (*C.char)(C.malloc(size))
	defer C.free(unsafe.Pointer(text))
	call(text, size)
	return C.GoString(text)
}
