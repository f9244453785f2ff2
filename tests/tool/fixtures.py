# SPDX-License-Identifier: Apache-2.0
"""Runs `mmoe inspect`, `verify` and `convert` over every checkpoint of the manifests that are here.

    fixtures.py MMOE SCRATCH FOLDER...

Every fixture runs on the CPU, whatever wrote it: activation order, AWQ and GPTQ of both versions
included. What `inspect` says of 1 to 16 tensor ranks must be what the rule of splits says.
"""
import json
import math
import pathlib
import subprocess
import sys

SMALLEST_PART = 32  # channels that a group may be cut into


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, (command, result.stdout, result.stderr)
    return result.stdout


def expected_split(intermediate, group, ranks):
    """Verdict of a split; (channels of the ranks, at least and at most), group size."""
    if intermediate % ranks == 0:
        size = intermediate // ranks
        part = size if group == -1 else math.gcd(group, size)
        if group in (-1, part):
            return "whole", (size, size), part
        if part >= SMALLEST_PART:
            return "parts", (size, size), part
    unit = SMALLEST_PART if group == -1 else group
    units = -(-intermediate // unit)
    if units < ranks:
        return "refused", None, None
    ends = [min(units * rank // ranks * unit, intermediate) for rank in range(ranks + 1)]
    sizes = [end - begin for begin, end in zip(ends, ends[1:])]
    return "uneven", (min(sizes), max(sizes)), unit


def check_splits(layer):
    """`inspect` against the rule, and its refusals against the split that they name."""
    intermediate, group = layer["intermediate_size"], layer["group_size"]
    for split in layer["tensor_ranks"]:
        verdict, sizes, part = expected_split(intermediate, group, split["ranks"])
        if verdict == "refused":
            most = split["most_ranks"]
            assert split["verdict"] == "refused" and 0 < most < split["ranks"], split
            assert split["remedy"].startswith(f"use {most} tensor ranks"), split
            assert expected_split(intermediate, group, most)[0] != "refused", split
            continue
        if verdict == "whole":
            padded = split["padded_intermediate"] > split["most_intermediate"]
            verdict = "padded" if padded else "legal"
        assert split["verdict"] == verdict, split
        assert (split["least_intermediate"], split["most_intermediate"]) == sizes, split
        assert verdict == "uneven" or split["group_size"] == part, split
    assert [split["ranks"] for split in layer["tensor_ranks"]] == [1, 2, 4, 8, 16], layer


def check(mmoe, scratch, path, entry):
    """Returns a word for the log."""
    layers = json.loads(run(mmoe, "inspect", path, "--json"))["layers"]
    assert len(layers) == entry["layers"], layers
    for layer in layers:
        assert layer["supported"], layer
        check_splits(layer)
    reference = path / "moe_io.safetensors"
    verified = json.loads(run(mmoe, "verify", path, "--reference", reference, "--json"))
    assert verified["ok"] and len(verified["checks"]) == 2 * len(entry["cases"]), verified
    run(mmoe, "verify", path)
    for index in range(len(layers)):
        saved = scratch / "layer"
        converted = json.loads(run(mmoe, "convert", path, str(index), saved, "--json"))
        assert converted["saved_bytes"] == saved.stat().st_size, converted
    return f"{len(verified['checks'])} checks"


def main():
    mmoe, scratch, *folders = sys.argv[1], *map(pathlib.Path, sys.argv[2:])
    scratch.mkdir(parents=True, exist_ok=True)
    checked = 0
    for folder in folders:
        for entry in json.loads((folder / "manifest.json").read_text())["checkpoints"]:
            print(f"{entry['path']}: ", end="", flush=True)
            print(check(mmoe, scratch, folder / entry["path"], entry), flush=True)
            checked += 1
    assert checked > 0, "no checkpoint found"
    print(f"{checked} checkpoints checked")


if __name__ == "__main__":
    main()
