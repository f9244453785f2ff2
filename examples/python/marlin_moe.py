#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libmarlin_moe from Python, with nothing but ctypes: one file to copy and cut down.

    MARLIN_MOE_LIBRARY=path/to/libmarlin_moe.so.0 python3 marlin_moe.py

Declares the structures that it needs, wraps errors and handles, and runs one layer on the CPU.
"""
import ctypes
import os
from ctypes import POINTER, byref, c_char, c_float, c_int32, c_int64, c_uint32, c_uint64, c_void_p


class Error(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("status", c_int32), ("os_errno", c_int32),
                ("cuda_error", c_int32), ("file_offset", c_uint64), ("message", c_char * 232)]


class Allocator(ctypes.Structure):
    _fields_ = [("user", c_void_p), ("allocate", c_void_p), ("release", c_void_p)]


class ContextOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("device_kind", c_int32), ("device_index", c_int32),
                ("thread_count", c_uint32), ("host_allocator", Allocator),
                ("device_allocator", Allocator), ("log", c_void_p), ("log_user", c_void_p),
                ("parallel_for", c_void_p), ("parallel_for_user", c_void_p),
                ("memory_budget_bytes", c_uint64), ("log_level", c_int32), ("cpu_tier", c_int32)]


class QuantFields(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("format", c_int32), ("bits", c_int32),
                ("group_size", c_int32), ("symmetry", c_int32), ("zero_point_form", c_int32),
                ("order", c_int32), ("scale_dtype", c_int32)]


class Layer(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("expert_count", c_uint32), ("hidden_size", c_uint32),
                ("intermediate_size", c_uint32), ("activation", c_int32), ("gate_form", c_int32),
                ("alpha", c_float), ("beta", c_float), ("limit", c_float), ("flags", c_uint32)]


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("dtype", c_int32), ("rank", c_int32), ("shape", c_int64 * 4),
                ("stride", c_int64 * 4)]


class ExecutorOptions(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("max_tokens", c_uint32), ("max_top_k", c_uint32),
                ("hidden_dtype", c_int32), ("output_dtype", c_int32), ("precision", c_int32)]


class RunArgs(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("hidden", Tensor),
                ("expert_ids", Tensor), ("expert_weights", Tensor), ("output", Tensor),
                ("expert_map", Tensor)]


DEVICE_CPU = 1
GATE, UP, DOWN = 1, 2, 3
WEIGHT, SCALE = 1, 2
F32 = 1
DTYPES = {c_float: 1, c_int32: 4}

library = ctypes.CDLL(os.environ.get("MARLIN_MOE_LIBRARY", "libmarlin_moe.so.0"))


class MoeError(Exception):
    """A failed call, with the library's sentence."""

    def __init__(self, error):
        super().__init__(error.message.decode())
        self.status = error.status


def sized(structure, **members):
    """A zeroed structure with its size and the given members."""
    return structure(struct_size=ctypes.sizeof(structure), **members)


def call(name, *arguments):
    """Calls a function that returns a status and takes an error last."""
    error = sized(Error)
    if getattr(library, name)(*arguments, byref(error)) != 0:
        raise MoeError(error)


class Handle:
    """An object of the library: made by a function with an `out` parameter, ended by _destroy."""

    def __init__(self, kind, create, *arguments):
        self.pointer = c_void_p()
        self.destroy = getattr(library, f"mmoe_{kind}_destroy")
        self.destroy.argtypes, self.destroy.restype = [c_void_p], None
        call(create, *arguments, byref(self.pointer))

    @property
    def _as_parameter_(self):
        return self.pointer

    def __del__(self):
        self.destroy(self.pointer)


def tensor(array, *shape):
    """A view of a ctypes array, which the caller keeps."""
    view = Tensor(data=ctypes.cast(array, c_void_p), dtype=DTYPES[array._type_], rank=len(shape))
    view.shape[:len(shape)] = shape
    return view


def tiny_bundle(context, hidden, inner):
    """One expert. All codes are 9, zero points 8, scales 1/64: every weight is 1/64."""
    config = Handle("quant_config", "mmoe_quant_config_create",
                    byref(sized(QuantFields, bits=4, group_size=32, scale_dtype=F32)))
    layer = sized(Layer, expert_count=1, hidden_size=hidden, intermediate_size=inner)
    bundle = Handle("bundle", "mmoe_bundle_create", context, config, byref(layer), None)
    for projection, outputs, inputs in ((GATE, inner, hidden), (UP, inner, hidden),
                                        (DOWN, hidden, inner)):
        codes = (c_int32 * (outputs * inputs // 8))(*[-0x66666667] * (outputs * inputs // 8))
        scales = (c_float * (outputs * inputs // 32))(*[1 / 64] * (outputs * inputs // 32))
        call("mmoe_bundle_set", bundle, 0, projection, WEIGHT,
             byref(tensor(codes, outputs, inputs // 8)))
        call("mmoe_bundle_set", bundle, 0, projection, SCALE,
             byref(tensor(scales, outputs, inputs // 32)))
    call("mmoe_bundle_seal", bundle)
    return bundle


def main():
    hidden, inner = 64, 32
    library.mmoe_version_string.restype = ctypes.c_char_p
    context = Handle("context", "mmoe_context_create",
                     byref(sized(ContextOptions, device_kind=DEVICE_CPU)))
    bundle = tiny_bundle(context, hidden, inner)
    executor = Handle("executor", "mmoe_executor_create", context, bundle,
                      byref(sized(ExecutorOptions, max_tokens=1, max_top_k=1, hidden_dtype=1)))

    token, output = (c_float * hidden)(*[1.0] * hidden), (c_float * hidden)()
    ids, weights = (c_int32 * 1)(0), (c_float * 1)(1.0)
    args = sized(RunArgs, hidden=tensor(token, 1, hidden), output=tensor(output, 1, hidden),
                 expert_ids=tensor(ids, 1, 1), expert_weights=tensor(weights, 1, 1))
    call("mmoe_executor_run", executor, bundle, byref(args), None)

    # gate = up = 1; act = sigmoid(1); down adds 32 of them, times 1/64.
    expected = inner / 64 / (1 + 2.718281828459045 ** -1)
    assert all(abs(value - expected) < 1e-4 * expected for value in output), list(output)
    print(f"marlin_moe {library.mmoe_version_string().decode()}: output {output[0]:.6f}")


if __name__ == "__main__":
    main()
