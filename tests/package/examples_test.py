#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follows the examples as a new user would: in an empty folder, with the command that the head of
each file gives, against the installed package.

    examples_test.py EXAMPLES_FOLDER PREFIX MODEL SCRATCH

A head says `cc NAME.c -lmarlin_moe ...;  ./a.out ARGUMENTS`, or how to start a script; where the
installed things are stands in the variables that examples/README.md names.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

COMMAND = re.compile(r"^[ */]*((?:cc|c\+\+) .*?)(?:;\s*(\./a\.out.*))?$", re.M)
SCRIPT = re.compile(r"^[ -]*((?:\w+=\S+ )?(python3|luajit) .*)$", re.M)


def pkg_config(prefix, option):
    folder = os.path.dirname(glob.glob(os.path.join(prefix, "**", "marlin_moe.pc"), recursive=True)[0])
    environment = {**os.environ, "PKG_CONFIG_PATH": folder}
    return subprocess.run(["pkg-config", option, "marlin_moe"], env=environment, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()


def commands_of(path):
    """The lines that compile a file and run it."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if path.endswith((".py", ".lua")):
        line, interpreter = SCRIPT.search(text).groups()
        return [line] if shutil.which(interpreter) else []
    compile_line, run_line = COMMAND.search(text).groups()
    return [compile_line, run_line or "./a.out"]


def follow(path, folder, environment, words):
    """Returns what went wrong, or None."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for beside in (path, *glob.glob(os.path.join(os.path.dirname(path), "*.hpp"))):
        shutil.copy(beside, folder)
    for line in commands_of(path):
        for word, meaning in words.items():
            line = line.replace(word, meaning)
        if subprocess.run(["sh", "-c", line], cwd=folder, env=environment, check=False).returncode != 0:
            return f"this failed: {line}"
    return None


def main():
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    examples, prefix, model, scratch = sys.argv[1:]
    include, libraries = (pkg_config(prefix, f"--variable={name}")[0] for name in ("includedir", "libdir"))
    environment = {**os.environ, "CPATH": include, "LIBRARY_PATH": libraries,
                   "LD_LIBRARY_PATH": libraries}
    words = {"path/to/model": model, "[layer]": "0", "scratch_file": os.path.join(scratch, "bundle"),
             "path/to/libmarlin_moe.so.0": os.path.join(libraries, "libmarlin_moe.so.0"),
             "path/to/marlin_moe.h": os.path.join(include, "marlin_moe.h")}
    files = [path for pattern in ("*.c", "*.cpp", "cpp/*.cpp", "python/*.py", "luajit/*.lua")
             for path in sorted(glob.glob(os.path.join(examples, pattern)))
             if os.path.basename(path) != "cuda_graph.cpp"]  # needs the CUDA toolkit
    failed = 0
    for path in files:
        problem = follow(path, os.path.join(scratch, "empty"), environment, words)
        print(f"{os.path.basename(path)}: {problem or 'ok'}", flush=True)
        failed += problem is not None
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
