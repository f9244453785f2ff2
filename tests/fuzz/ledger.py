#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ledger of fuzzing: what was searched, for how long, on which commit, and what came of it.

    ledger.py                                             prints the executions of every target
    ledger.py left                                        prints what is missing from the goals
    ledger.py add TARGET EXECUTIONS COMMIT DATE RESULT    adds a run; rows are never replaced
"""
import json
import os
import sys

LEDGER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "LEDGER.json")
SANITIZER = "address,undefined"
# A published campaign on the reference reader of safetensors had 38.4 million executions.
GOALS = {"safetensors_header": 40_000_000} | dict.fromkeys(
    ["api", "layers", "model_config", "pattern", "repack", "saved_bundle", "shard_index", "unpack"],
    10_000_000)


def read():
    with open(LEDGER, encoding="utf-8") as file:
        return json.load(file)


def write(runs):
    rows = ",\n".join("    " + json.dumps(run) for run in runs)
    with open(LEDGER, "w", encoding="utf-8") as file:
        file.write(f"[\n{rows}\n]\n")


def totals(runs):
    sums = {}
    for run in runs:
        sums[run["target"]] = sums.get(run["target"], 0) + run["executions"]
    return sums


def main(arguments):
    if not arguments:
        for target, executions in sorted(totals(read()).items()):
            print(f"{target} {executions}")
        return
    if arguments == ["left"]:
        done = totals(read())
        for target, goal in GOALS.items():
            if done.get(target, 0) < goal:
                print(f"{target} {goal - done.get(target, 0)}")
        return
    if arguments[0] != "add" or len(arguments) != 6:
        raise SystemExit(__doc__)
    _, target, executions, commit, date, result = arguments
    write(read() + [{"target": target, "executions": int(executions), "sanitizer": SANITIZER,
                     "commit": commit, "date": date, "result": result}])


if __name__ == "__main__":
    main(sys.argv[1:])
