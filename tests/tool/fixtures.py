# SPDX-License-Identifier: Apache-2.0
"""Runs `mmoe verify` over every checkpoint of the manifests that are here.

    fixtures.py MMOE FOLDER...

A checkpoint that `mmoe inspect` calls unsupported must be one in activation order, and `mmoe
verify` must then refuse it too: nothing may fall through to a wrong result.
"""
import json
import pathlib
import subprocess
import sys

REFUSED = 3


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def check(mmoe, folder, entry):
    """Returns a word for the log; raises AssertionError."""
    path = folder / entry["path"]
    inspected = json.loads(run(mmoe, "inspect", path, "--json").stdout)
    assert len(inspected["layers"]) == entry["layers"], inspected
    verified = run(mmoe, "verify", path, "--reference", path / "moe_io.safetensors", "--json")
    if not all(layer["supported"] for layer in inspected["layers"]):
        assert entry.get("actorder") == "group" or entry.get("desc_act"), inspected
        assert verified.returncode == REFUSED, verified
        return "refused"
    assert verified.returncode == 0, verified.stdout + verified.stderr
    checks = json.loads(verified.stdout)["checks"]
    assert len(checks) == 2 * len(entry["cases"]), checks
    oracle = run(mmoe, "verify", path)
    assert oracle.returncode == 0, oracle.stdout + oracle.stderr
    return f"{len(checks)} checks"


def main():
    mmoe, folders = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
    checked = 0
    for folder in folders:
        for entry in json.loads((folder / "manifest.json").read_text())["checkpoints"]:
            print(f"{entry['path']}: ", end="", flush=True)
            print(check(mmoe, folder, entry), flush=True)
            checked += 1
    assert checked > 0, "no checkpoint found"
    print(f"{checked} checkpoints checked")


if __name__ == "__main__":
    main()
