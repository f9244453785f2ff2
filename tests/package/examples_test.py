#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follows the examples as a new user would: in an empty folder, with the command that the head of
each file gives, against the installed package.

    examples_test.py EXAMPLES_FOLDER PREFIX MODEL SCRATCH

A head says `cc NAME.c -lmarlin_moe ...;  ./a.out ARGUMENTS`; pkg-config adds where things are. What
`path/to/model` and the like stand for is in WORDS.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

COMMAND = re.compile(r"^[ */]*((?:cc|c\+\+) .*?)(?:;\s*(\./a\.out.*))?$", re.M)


def pkg_config(prefix, option):
    folder = os.path.dirname(glob.glob(os.path.join(prefix, "**", "marlin_moe.pc"), recursive=True)[0])
    environment = {**os.environ, "PKG_CONFIG_PATH": folder}
    return subprocess.run(["pkg-config", option, "marlin_moe"], env=environment, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()


def commands_of(path):
    """The line that compiles a file and the one that runs it."""
    with open(path, encoding="utf-8") as file:
        compile_line, run_line = COMMAND.search(file.read()).groups()
    return compile_line.split(), (run_line or "./a.out").split()


def follow(path, folder, prefix, words):
    """Returns what went wrong, or None."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for beside in (path, *glob.glob(os.path.join(os.path.dirname(path), "*.hpp"))):
        shutil.copy(beside, folder)
    compile_words, run_words = commands_of(path)
    libraries = pkg_config(prefix, "--variable=libdir")[0]
    compiled = subprocess.run([*compile_words, *pkg_config(prefix, "--cflags"), f"-L{libraries}"],
                              cwd=folder, check=False)
    if compiled.returncode != 0:
        return "its command does not compile it"
    ran = subprocess.run([words.get(word, word) for word in run_words], cwd=folder, check=False,
                         env={**os.environ, "LD_LIBRARY_PATH": libraries})
    return None if ran.returncode == 0 else f"it ended with {ran.returncode}"


def main():
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    examples, prefix, model, scratch = sys.argv[1:]
    words = {"path/to/model": model, "[layer]": "0", "scratch_file": os.path.join(scratch, "bundle"),
             "path/to/libmarlin_moe.so.0": "libmarlin_moe.so.0"}
    files = [path for pattern in ("*.c", "*.cpp", "cpp/*.cpp")
             for path in sorted(glob.glob(os.path.join(examples, pattern)))
             if os.path.basename(path) != "cuda_graph.cpp"]  # needs the CUDA toolkit
    failed = 0
    for path in files:
        problem = follow(path, os.path.join(scratch, "empty"), prefix, words)
        print(f"{os.path.basename(path)}: {problem or 'ok'}", flush=True)
        failed += problem is not None
    return 1 if failed or not files else 0


if __name__ == "__main__":
    sys.exit(main())
