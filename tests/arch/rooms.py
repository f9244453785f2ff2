#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that rooms see only what they may see.

    rooms.py SOURCE_DIR    prints every violation in the tree; exit status 1 if there is one
    rooms.py --self-test   plants one violation of every rule and expects to find each

Rules: the include table below; only lib/device and kernels/cuda name the CUDA runtime; nothing in
lib/ and kernels/ prints, or ends the process.
"""
import os
import re
import sys
import tempfile

# Room -> what it may include besides itself and the standard library. A room or a file of one.
LAUNCH_CPU, LAUNCH_CUDA = "kernels/cpu/launch.h", "kernels/cuda/launch.h"
FILL_CUDA, ROUTER_CUDA = "kernels/cuda/fill.h", "kernels/cuda/router.h"
REPACK_CUDA = "kernels/cuda/repack.h"
LIB_ROOMS = ["base", "checkpoint", "unpack", "repack", "device", "bundle", "exec", "api"]
MAY_INCLUDE = {
    "kernels/layout": [],
    "kernels/cpu": ["kernels/layout"],
    "kernels/cuda": ["kernels/layout"],
    "lib/base": [],
    "lib/checkpoint": ["lib/base", "kernels/layout"],
    "lib/unpack": ["lib/base", "lib/checkpoint", "kernels/layout", LAUNCH_CPU],
    "lib/repack": ["lib/base", "lib/checkpoint", "lib/unpack", "kernels/layout", LAUNCH_CPU],
    "lib/device": ["lib/base", LAUNCH_CPU, LAUNCH_CUDA, FILL_CUDA],
    "lib/bundle": ["lib/base", "lib/checkpoint", "lib/unpack", "lib/repack", "lib/device",
                   "kernels/layout", LAUNCH_CUDA, REPACK_CUDA],
    "lib/exec": ["lib/base", "lib/checkpoint", "lib/bundle", "lib/device", "kernels/layout",
                 LAUNCH_CPU, LAUNCH_CUDA, ROUTER_CUDA, FILL_CUDA],
    "lib/api": [f"lib/{room}" for room in LIB_ROOMS] + ["include", LAUNCH_CPU],
    "examples": ["include"],
    "bindings": ["include"],
}

# Headers from outside that only the named rooms may use.
OUTSIDE = {
    re.compile(r"cuda.*|cooperative_groups.*|driver_types\.h|mma\.h"): ["lib/device", "kernels/cuda",
                                                                         "examples"],
    re.compile(r"nlohmann/.*"): ["lib/checkpoint", "examples"],
    re.compile(r"iostream|ostream|fstream"): ["examples", "bindings"],
}

CUDA_NAME = re.compile(r"\b(cuda[A-Z]\w+|cu[A-Z][a-z]+[A-Z]\w+)\s*\(|<<<")
CUDA_ROOMS = ["lib/device", "kernels/cuda"]
PROCESS_NAME = re.compile(r"(?<![\w.>])(?:std::|::)?(v?f?printf|puts|putchar|fputs|perror|abort|exit|_exit|"
                          r"quick_exit|terminate|signal|sigaction)\s*\(|std::(cout|cerr|clog)\b")

SOURCE_SUFFIXES = (".h", ".hpp", ".cpp", ".c", ".cu", ".cuh")


def room_of(path):
    """"lib/base/status.h" -> "lib/base"; "examples/tool/x.c" -> "examples"; None: not ruled."""
    parts = path.split("/")
    if len(parts) < 2:
        return None
    two = "/".join(parts[:2])
    return two if two in MAY_INCLUDE else parts[0] if parts[0] in ("include", *MAY_INCLUDE) else None


def sources(root):
    for top in ("lib", "kernels", "examples", "bindings"):
        for folder, subfolders, names in os.walk(os.path.join(root, top)):
            subfolders[:] = [name for name in subfolders if name not in ("target", "build")]
            for name in sorted(names):
                if name.endswith(SOURCE_SUFFIXES):
                    yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")


def without_comments(text):
    """Blanks comments and string literals, keeps line numbers."""
    def blank(match):
        return match.group(0) if match.group(0)[0] == '#' else re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'#[ \t]*include[^\n]*|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text,
                  flags=re.S)


def resolve(root, path, included):
    """The path in the tree that an #include "..." names, as the include folders are set."""
    beside = os.path.normpath(os.path.join(os.path.dirname(path), included))
    for candidate in (beside, f"lib/{included}", f"kernels/{included}", f"include/{included}"):
        if os.path.isfile(os.path.join(root, candidate)):
            return candidate.replace(os.sep, "/")
    return None


def outside_problem(room, included):
    for pattern, rooms in OUTSIDE.items():
        if pattern.fullmatch(included) and room not in rooms:
            return f"{room} may not include <{included}>"
    return None


def include_problem(root, path, included):
    room = room_of(path)
    target = resolve(root, path, included)
    if target is None:
        return outside_problem(room, included)
    if room_of(target) == room or target in MAY_INCLUDE[room] or room_of(target) in MAY_INCLUDE[room]:
        return None
    return f"{room} may not include {target}"


def line_problems(root, path, line):
    room = room_of(path)
    included = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
    if included:
        problem = include_problem(root, path, included.group(1))
        return [problem] if problem else []
    found = []
    if not path.startswith(("lib/", "kernels/")):
        return found
    if room not in CUDA_ROOMS and CUDA_NAME.search(line):
        found.append(f"{room} names the CUDA runtime: {CUDA_NAME.search(line).group(0)}")
    if PROCESS_NAME.search(line):
        found.append(f"prints, or ends the process: {PROCESS_NAME.search(line).group(0)}")
    return found


def problems(root):
    found = []
    for path in sources(root):
        if room_of(path) is None:
            found.append(f"{path}: belongs to no room of the table")
            continue
        with open(os.path.join(root, path), encoding="utf-8") as file:
            lines = without_comments(file.read()).splitlines()
        for number, line in enumerate(lines, 1):
            found += [f"{path}:{number}: {problem}" for problem in line_problems(root, path, line)]
    return found


# File, its text, and a part of the complaint; None: nothing may be found.
PLANTED = [
    ("lib/base/status.h", "#pragma once\n#include <new>\n", None),
    ("kernels/layout/number.h", "// lib/ may not printf(\n", None),
    ("kernels/cpu/launch.h", '#include "layout/number.h"\n', None),
    ("kernels/cpu/table.h", "", None),
    ("include/marlin_moe.h", "", None),
    ("lib/exec/run.cpp", '#include "cpu/launch.h"\n#include "base/status.h"\n', None),
    ("lib/device/cuda.cpp", "#include <cuda_runtime.h>\nvoid f() { cudaMalloc(0, 1); }\n", None),
    ("lib/base/text.cpp", 'const char* a = "printf(";\nvoid g() { snprintf(0, 0, a); }\n', None),
    ("lib/base/up.cpp", '#include "device/info.h"\n', None),  # no such file: from outside
    ("lib/unpack/awq.h", "", None),
    ("lib/checkpoint/up.cpp", '#include "unpack/awq.h"\n', "may not include lib/unpack/awq.h"),
    ("lib/exec/deep.cpp", '#include "cpu/table.h"\n', "may not include kernels/cpu/table.h"),
    ("kernels/cpu/back.cpp", '#include "base/status.h"\n', "may not include lib/base/status.h"),
    ("kernels/layout/beside.h", '#include "../cpu/launch.h"\n', "may not include kernels/cpu/"),
    ("examples/inside.c", '#include "base/status.h"\n', "may not include lib/base/status.h"),
    ("lib/repack/gpu.cpp", "#include <cuda_fp16.h>\n", "may not include <cuda_fp16.h>"),
    ("lib/exec/gpu.cpp", "int x = cudaFree(p);\n", "names the CUDA runtime"),
    ("lib/base/cout.cpp", "#include <iostream>\n", "may not include <iostream>"),
    ("lib/base/print.cpp", "/* fine */ std::printf(x);\n", "prints, or ends the process"),
    ("kernels/cpu/die.cpp", "void f() {\n  abort();\n}\n", "die.cpp:2: prints, or ends"),
    ("lib/bundle/json.cpp", "#include <nlohmann/json.hpp>\n", "may not include <nlohmann"),
    ("lib/attic/old.cpp", "", "belongs to no room"),
]


def self_test():
    with tempfile.TemporaryDirectory() as root:
        for path, text, _ in PLANTED:
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        found = problems(root)
    wrong = []
    for path, _, complaint in PLANTED:
        here = [line for line in found if line.startswith(path + ":")]
        if complaint is None and here:
            wrong.append(f"found without a cause: {here}")
        elif complaint is not None and not any(complaint in line for line in here):
            wrong.append(f"{path}: expected '{complaint}', got {here}")
    return wrong


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found = self_test() if sys.argv[1] == "--self-test" else problems(sys.argv[1])
    print("\n".join(found) if found else "every room keeps to its place")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
