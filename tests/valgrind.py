#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests' programs under valgrind's memcheck: what no sanitizer sees, reads of memory that
nobody wrote. Hours on a busy machine, so by hand or at night: target `valgrind`.

    valgrind.py BUILD [NAME...]     tests of a build folder; all that can be, unless named

A program fails for an error of memcheck or a leak, not for what it tests; the last line counts.
"""
import json
import os
import subprocess
import sys

LABELS = {"unit", "golden", "abi", "parity", "fault", "fuzz"}
LIMIT_SECONDS = 3600
# Not under valgrind, and why.
LEFT_OUT = {
    "fault_no_memory": "has an allocator of its own",
    "fault_disk": "has an allocator of its own",
    "fault_quiet_run": "has an allocator of its own",
    "parity_amx": "valgrind has no AMX",
}
MEMCHECK = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
            "--errors-for-leak-kinds=definite,possible", "--child-silent-after-fork=yes"]


def tests_of(build):
    """(name, command, environment) of every test that is a program of the build."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                             capture_output=True, text=True).stdout
    for test in json.loads(listing)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        command = test.get("command", [])
        ours = command and command[0].startswith(os.path.abspath(build))
        if ours and LABELS & set(properties.get("LABELS", [])):
            yield test["name"], command, dict(
                pair.split("=", 1) for pair in properties.get("ENVIRONMENT", []))


def check(name, command, environment):
    """Whether memcheck has nothing to say; prints what it says."""
    try:
        run = subprocess.run(MEMCHECK + command, env=os.environ | environment, text=True,
                             capture_output=True, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{name}: still running after {LIMIT_SECONDS} s", flush=True)
        return False
    found = [line for line in run.stderr.splitlines() if line.startswith("==")]
    if found:
        print(name, *found[:40], sep="\n    ", flush=True)
    return not found


def main(arguments):
    if not arguments:
        raise SystemExit(__doc__)
    build, *names = arguments
    chosen = [test for test in tests_of(build)
              if test[0] not in LEFT_OUT and (not names or test[0] in names)]
    clean = [check(*test) for test in chosen]
    print(f"{sum(clean)} of {len(clean)} programs without an error or a leak")
    return 0 if clean and all(clean) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
