#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the prefill kernels for sm_90a once more and holds what ptxas says of each against the
table beside this script: registers at launch, stack and spilled bytes. A spill in the multiplying
loop, or wgmma instructions that ptxas puts one after the other (its C75xx notes), cost a third of
the speed and change no result, so nothing else would notice.

    row_resources.py NVCC           compare; exit status 77 (skipped) with another compiler version
    row_resources.py NVCC --write   write the table anew
"""
import csv
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KERNELS = os.path.normpath(os.path.join(HERE, "..", "..", "kernels"))
TABLE = os.path.join(HERE, "row_resources.csv")
SOURCES = ["prefill_bf16_int4", "prefill_bf16_int8", "prefill_f16_int4", "prefill_f16_int8"]
COLUMNS = ["compiler", "kernel", "registers", "stack_bytes", "spill_store_bytes",
           "spill_load_bytes"]
# Number, bits; warp groups, m64 blocks, tokens, fewest tokens, fine groups; gated.
NAME = re.compile(r"PrefillTileINS0_\d+(Bf16|F16)ELi(\d)ENS0_\d+PrefillShape"
                  r"ILi(\d)ELi(\d)ELi(\d+)ELi(\d+)ELb([01])EEELb([01])E")


def version(nvcc):
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", text).group(1)


def readable(mangled):
    number, bits, groups, m64, tokens, _, fine, gated = NAME.search(mangled).groups()
    outputs = 64 * int(groups) * int(m64)
    return (f"{number.lower()}.int{bits}.n{outputs}m{tokens}{'g32' if fine == '1' else ''}"
            f".{'gated' if gated == '1' else 'plain'}")


def compile_source(nvcc, source, folder):
    command = [nvcc, "-cubin", "-O3", "-DNDEBUG", "-std=c++20", "--expt-relaxed-constexpr",
               "-gencode=arch=compute_90a,code=sm_90a", "-Xptxas=-v", "-I", KERNELS,
               os.path.join(KERNELS, "cuda", source + ".cu"), "-o",
               os.path.join(folder, source + ".cubin")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def resources(nvcc):
    """Rows of the table, and the notes about serialised instructions."""
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            name = None
            for line in compile_source(nvcc, source, folder).splitlines():
                if re.search(r"\(C75\d\d\)", line):
                    notes.append(line)
                elif entry := re.search(r"Compiling entry function '(\w+)'", line):
                    name = readable(entry.group(1))
                elif spill := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, "
                                        r"(\d+) bytes spill loads", line):
                    stack = spill.groups()
                elif used := re.search(r"Used (\d+) registers", line):
                    rows.append(dict(zip(COLUMNS, (version(nvcc), name, used.group(1), *stack))))
    return sorted(rows, key=lambda row: row["kernel"]), notes


def main():
    nvcc = sys.argv[1]
    if sys.argv[2:] == ["--write"]:
        rows, _ = resources(nvcc)
        with open(TABLE, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        return 0
    with open(TABLE, encoding="utf-8", newline="") as file:
        expected = list(csv.DictReader(file))
    if expected[0]["compiler"] != version(nvcc):
        print(f"skipped: the table is of nvcc {expected[0]['compiler']}, this is {version(nvcc)}")
        return 77
    rows, notes = resources(nvcc)
    for note in notes:
        print(note)
    got = {row["kernel"]: row for row in rows}
    want = {row["kernel"]: row for row in expected}
    for name in sorted(got.keys() | want.keys()):
        if got.get(name) != want.get(name):
            print(f"{name}: expected {want.get(name)}, got {got.get(name)}")
    return 0 if got == want and not notes else 1


if __name__ == "__main__":
    sys.exit(main())
