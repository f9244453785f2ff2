#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what the bindings repeat of include/marlin_moe.h, so that none of it is typed by hand:

    rust/marlin-moe-sys/src/declarations.rs    structures, constants and functions for Rust
    go/trampolines.c, go/trampolines.h         functions that call through dlsym, for Go

    generate.py            writes the files
    generate.py --check    fails if a file is not what it should be (a test of the library)
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests", "abi"))
import header as public_header  # noqa: E402

NOTICE = "Generated from include/marlin_moe.h by bindings/generate.py."

RUST_TYPES = {"uint8_t": "u8", "int32_t": "i32", "uint32_t": "u32", "int64_t": "i64",
              "uint64_t": "u64", "size_t": "usize", "float": "f32", "double": "f64",
              "char": "c_char", "void": "c_void"}


def rust_type(c_type):
    """"const char*" -> "*const c_char"; "mmoe_bundle**" -> "*mut *mut mmoe_bundle"."""
    is_const = c_type.startswith("const ")
    base = c_type.replace("const ", "").replace("*", "").strip()
    result = RUST_TYPES.get(base, base)
    for level in range(c_type.count("*")):
        result = ("*const " if is_const and level == 0 else "*mut ") + result
    return result


def split_declarator(text):
    """"int64_t shape[8]" -> ("int64_t", "shape", "8")."""
    return re.fullmatch(r"(.*?[ *])(\w+)(?:\[(\w+)\])?", " ".join(text.split())).groups()


def rust_callback(returns, parameters):
    names = [split_declarator(parameter) for parameter in parameters.split(",")]
    listed = ", ".join(f"{name}: {rust_type(kind.strip())}" for kind, name, _ in names)
    result = "" if returns.strip() == "void" else f" -> {rust_type(returns.strip())}"
    return f"Option<unsafe extern \"C\" fn({listed}){result}>"


CALLBACK = re.compile(r"([\w ]+?\**) ?\(\*(\w+)\)\((.*)\)", re.S)


def rust_member(declaration):
    callback = CALLBACK.fullmatch(" ".join(declaration.split()))
    if callback:
        returns, name, parameters = callback.groups()
        return f"{name}: {rust_callback(returns, parameters)}"
    kind, name, count = split_declarator(declaration)
    rust = rust_type(kind.strip())
    return f"{name}: [{rust}; {count}]" if count and count.isdigit() else (
        f"{name}: [{rust}; {count} as usize]" if count else f"{name}: {rust}")


def rust_function(function):
    listed = ", ".join(f"{p.name}: {rust_type(p.type)}" for p in function.parameters)
    result = "" if function.returns == "void" else f" -> {rust_type(function.returns)}"
    return f"    fn {function.name}({listed}){result};"


def rust_declarations(header):
    text = header.declarations
    aliases = re.findall(r"typedef (\w+) (\w+);", text)
    callbacks = re.findall(r"typedef ([^;{]*?) ?\(\*(\w+)\)\(([^;]*)\);", text)
    handles = re.findall(r"typedef struct (\w+) \1;", text)
    bodies = re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, re.S)
    constants = re.findall(r"(MMOE_\w+) = (\(?[-\w <]+\)?)", text)
    lines = [f"// SPDX-License-Identifier: Apache-2.0\n// {NOTICE}\n", "c_aliases! {"]
    lines += [f"    type {name} = {RUST_TYPES[base]};" for base, name in aliases]
    lines += [f"    type {name} = {rust_callback(returns, parameters)};"
              for returns, name, parameters in callbacks]
    lines += ["}\n", "c_handles! {"] + [f"    {name};" for name in handles]
    lines += ["}\n", "c_constants! {"]
    lines += [f"    {name} = {value.strip('()').strip()};" for name, value in constants]
    lines += ["}\n", "c_structs! {"]
    for name, body in bodies:
        members = [rust_member(m) for m in (part.strip() for part in body.split(";")) if m]
        lines += [f"    struct {name} {{"] + [f"        {m}," for m in members] + ["    }"]
    lines += ["}\n", "c_functions! {"] + [rust_function(f) for f in header.functions] + ["}", ""]
    return "\n".join(lines)


def c_signature(function):
    listed = ", ".join(f"{p.type} {p.name}" for p in function.parameters) or "void"
    return f"{function.returns} go_{function.name}({listed})"


def go_header(header):
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */", f"/* {NOTICE}",
             " * Every function of the library, called through the library that was opened. The names",
             " * are not the library's own: cgo exports what a program defines, and the library would",
             " * find it. */",
             "#ifndef MARLIN_MOE_GO_TRAMPOLINES_H", "#define MARLIN_MOE_GO_TRAMPOLINES_H", "",
             "#include <marlin_moe.h>", "",
             "/* Resolves every function; returns the name of the first that is missing, or NULL. */",
             "const char *marlin_moe_go_resolve(void *library);", ""]
    lines += [f"{c_signature(f)};" for f in header.functions]
    return "\n".join(lines + ["", "#endif", ""])


def go_trampolines(header):
    lines = ["/* SPDX-License-Identifier: Apache-2.0 */", f"/* {NOTICE} */",
             '#include "trampolines.h"', "", "#include <dlfcn.h>", ""]
    lines += [f"static __typeof__(&{f.name}) at_{f.name};" for f in header.functions]
    lines += ["", "const char *marlin_moe_go_resolve(void *library) {"]
    for f in header.functions:
        lines.append(f'    *(void **)&at_{f.name} = dlsym(library, "{f.name}");')
        lines.append(f'    if (at_{f.name} == NULL) return "{f.name}";')
    lines += ["    return NULL;", "}"]
    for f in header.functions:
        arguments = ", ".join(p.name for p in f.parameters)
        keyword = "" if f.returns == "void" else "return "
        lines += ["", f"{c_signature(f)} {{", f"    {keyword}at_{f.name}({arguments});", "}"]
    return "\n".join(lines + [""])


def main():
    header = public_header.parse(os.path.join(ROOT, "include", "marlin_moe.h"))
    files = {
        "rust/marlin-moe-sys/src/declarations.rs": rust_declarations(header),
        "go/trampolines.h": go_header(header),
        "go/trampolines.c": go_trampolines(header),
    }
    stale = []
    for name, text in files.items():
        path = os.path.join(HERE, name)
        if sys.argv[1:] != ["--check"]:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        elif open(path, encoding="utf-8").read() != text:
            stale.append(f"bindings/{name} is stale: run bindings/generate.py")
    print("\n".join(stale) if stale else f"{len(files)} files are up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
