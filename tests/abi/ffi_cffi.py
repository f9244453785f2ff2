# SPDX-License-Identifier: Apache-2.0
"""Python's cffi reads the public header and calls the library: ffi_cffi.py CDEF LIBRARY"""
import sys

try:
    import cffi
except ImportError:
    print("skipped: this Python has no cffi (Debian: python3-cffi)")
    sys.exit(77)

ffi = cffi.FFI()
ffi.cdef(open(sys.argv[1], encoding="utf-8").read())
library = ffi.dlopen(sys.argv[2])
assert ffi.sizeof("mmoe_error") == 256
assert ffi.string(library.mmoe_status_name(library.MMOE_ERR_IO)) == b"MMOE_ERR_IO"

options = ffi.new("mmoe_context_options *", {"struct_size": ffi.sizeof("mmoe_context_options"),
                                             "device_kind": library.MMOE_DEVICE_CPU})
out = ffi.new("mmoe_context **")
error = ffi.new("mmoe_error *")
assert library.mmoe_context_create(options, out, error) == 0, ffi.string(error.message)
library.mmoe_context_destroy(out[0])
print(ffi.string(library.mmoe_version_string()).decode())
