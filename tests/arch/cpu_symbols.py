#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that no code of an instruction set can run outside its tier.

    cpu_symbols.py NM FILE...    object files of kernels/cpu; exits 1 and lists what is wrong

The linker keeps one copy of an inline function for the whole library. Were it the copy of
avx512.cpp, a processor without AVX-512 would run it. So a file that is named after a tier may
define nothing but that tier's functions.
"""
import os
import subprocess
import sys

TIERS = ("avx2", "avxvnni", "avx512", "avx512bf16", "amxbf16", "neon", "neondot", "neonbf16")


def problems(nm, path):
    tier = os.path.basename(path).split(".")[0]
    if tier not in TIERS:
        return []
    listing = subprocess.run([nm, "--demangle", "--defined-only", "--extern-only", path],
                             capture_output=True, text=True, check=True).stdout
    found = []
    for line in listing.splitlines():
        _, kind, name = line.split(maxsplit=2)
        if kind != "T" or not name.startswith(f"mmoe::cpu::{tier}::"):
            found.append(f"{tier}: {kind} {name}")
    if not listing:
        found.append(f"{path}: defines nothing")
    return found


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    files = sys.argv[2:]
    found = [problem for path in files for problem in problems(sys.argv[1], path)]
    if not any(os.path.basename(path).startswith(TIERS) for path in files):
        found.append("no file of a tier was named")
    print("\n".join(found) if found else "every tier defines its own functions only")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
