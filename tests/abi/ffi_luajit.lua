-- SPDX-License-Identifier: Apache-2.0
-- LuaJIT's FFI reads the public header and calls the library: ffi_luajit.lua CDEF LIBRARY
local ffi = require("ffi")
ffi.cdef(assert(io.open(arg[1])):read("*a"))
local library = ffi.load(arg[2])
assert(ffi.sizeof("mmoe_error") == 256)
assert(ffi.string(library.mmoe_status_name(ffi.C.MMOE_ERR_IO)) == "MMOE_ERR_IO")

local options = ffi.new("mmoe_context_options")
options.struct_size = ffi.sizeof(options)
options.device_kind = ffi.C.MMOE_DEVICE_CPU
local out = ffi.new("mmoe_context *[1]")
local problem = ffi.new("mmoe_error")
assert(library.mmoe_context_create(options, out, problem) == 0, ffi.string(problem.message))
library.mmoe_context_destroy(out[0])
print(ffi.string(library.mmoe_version_string()))
