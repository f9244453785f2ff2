-- SPDX-License-Identifier: Apache-2.0
-- libmarlin_moe from LuaJIT, which reads the C header itself:
--
--     luajit layer.lua path/to/marlin_moe.h path/to/libmarlin_moe.so.0
--
-- Runs one layer with one expert on the CPU.
local ffi = require("ffi")

-- The header without comments and preprocessor lines; numbers that macros name are not needed.
local function declarations(path)
    local text = assert(io.open(path)):read("*a")
    text = text:gsub("/%*.-%*/", ""):gsub("#ifdef __cplusplus\n.-#endif", "")
    text = text:gsub("\n *#[^\n]*", ""):gsub("MMOE_API ", ""):gsub("MMOE_MAX_RANK", "4")
    return text
end

ffi.cdef(declarations(arg[1]))
local library = ffi.load(arg[2])
local C = ffi.C

-- A zeroed structure with its size and the given members.
local function sized(kind, members)
    local structure = ffi.new(kind)
    structure.struct_size = ffi.sizeof(kind)
    for name, value in pairs(members or {}) do structure[name] = value end
    return structure
end

-- Calls a function that returns a status and takes an error last.
local function call(name, ...)
    local problem = sized("mmoe_error")
    local arguments = {...}
    local count = select("#", ...)
    arguments[count + 1] = problem
    if library[name](unpack(arguments, 1, count + 1)) ~= 0 then
        error(ffi.string(problem.message))
    end
end

-- An object of the library, destroyed with its Lua value.
local function create(kind, name, ...)
    local out = ffi.new(kind .. " *[1]")
    local arguments = {...}
    local count = select("#", ...)
    arguments[count + 1] = out
    call(name, unpack(arguments, 1, count + 1))
    return ffi.gc(out[0], library[kind .. "_destroy"])
end

local function tensor(data, dtype, rows, columns)
    local view = ffi.new("mmoe_tensor")
    view.data, view.dtype, view.rank = data, dtype, 2
    view.shape[0], view.shape[1] = rows, columns
    return view
end

local hidden, inner = 64, 32
local context = create("mmoe_context", "mmoe_context_create",
                       sized("mmoe_context_options", {device_kind = C.MMOE_DEVICE_CPU}))
local config = create("mmoe_quant_config", "mmoe_quant_config_create",
                      sized("mmoe_quant_fields", {bits = 4, group_size = 32,
                                                   scale_dtype = C.MMOE_DTYPE_F32}))
local layer = sized("mmoe_layer",
                    {expert_count = 1, hidden_size = hidden, intermediate_size = inner})
local bundle = create("mmoe_bundle", "mmoe_bundle_create", context, config, layer, nil)

-- All codes are 9, zero points 8, scales 1/64: every weight is 1/64.
for _, linear in ipairs({{C.MMOE_PROJECTION_GATE, inner, hidden},
                         {C.MMOE_PROJECTION_UP, inner, hidden},
                         {C.MMOE_PROJECTION_DOWN, hidden, inner}}) do
    local projection, outputs, inputs = unpack(linear)
    local codes = ffi.new("int32_t[?]", outputs * inputs / 8)
    local scales = ffi.new("float[?]", outputs * inputs / 32)
    for i = 0, outputs * inputs / 8 - 1 do codes[i] = -0x66666667 end
    for i = 0, outputs * inputs / 32 - 1 do scales[i] = 1 / 64 end
    call("mmoe_bundle_set", bundle, 0, projection, C.MMOE_ROLE_WEIGHT,
         tensor(codes, C.MMOE_DTYPE_I32, outputs, inputs / 8))
    call("mmoe_bundle_set", bundle, 0, projection, C.MMOE_ROLE_SCALE,
         tensor(scales, C.MMOE_DTYPE_F32, outputs, inputs / 32))
end
call("mmoe_bundle_seal", bundle)

local executor = create("mmoe_executor", "mmoe_executor_create", context, bundle,
                        sized("mmoe_executor_options", {max_tokens = 1, max_top_k = 1,
                                                        hidden_dtype = C.MMOE_DTYPE_F32}))
local token, output = ffi.new("float[64]"), ffi.new("float[64]")
local id, weight = ffi.new("int32_t[1]", 0), ffi.new("float[1]", 1)
for i = 0, hidden - 1 do token[i] = 1 end
call("mmoe_executor_run", executor, bundle, sized("mmoe_run_args", {
    hidden = tensor(token, C.MMOE_DTYPE_F32, 1, hidden),
    expert_ids = tensor(id, C.MMOE_DTYPE_I32, 1, 1),
    expert_weights = tensor(weight, C.MMOE_DTYPE_F32, 1, 1),
    output = tensor(output, C.MMOE_DTYPE_F32, 1, hidden),
}), nil)

-- gate = up = 1; act = sigmoid(1); down adds 32 of them, times 1/64.
local expected = inner / 64 / (1 + math.exp(-1))
for i = 0, hidden - 1 do assert(math.abs(output[i] - expected) < 1e-4 * expected, output[i]) end
print(("marlin_moe %s: output %.6f"):format(ffi.string(library.mmoe_version_string()), output[0]))
