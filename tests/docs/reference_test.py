#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that docs/errors.md has a row for every MMOE_ERR_* and MMOE_REASON_* of the header, and
that every \\snippet of docs/*.md is a block of an example.

    reference_test.py SOURCE_DIR
"""
import glob
import os
import re
import sys


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def undocumented(root):
    rows = set(re.findall(r"^\| #(MMOE_\w+)", read(root, "docs", "errors.md"), re.M))
    names = re.findall(r"^ *(MMOE_(?:ERR|REASON)_\w+) = ", read(root, "include", "marlin_moe.h"), re.M)
    return [f"docs/errors.md: no row for {name}" for name in names if name not in rows]


def lost_snippets(root):
    found = []
    for page in sorted(glob.glob(os.path.join(root, "docs", "*.md"))):
        for file, block in re.findall(r"^\\snippet (\S+) (.+)$", read(page), re.M):
            count = len(re.findall(rf"^\s*(?://|/\*) \[{re.escape(block)}\]", read(root, "examples", file), re.M))
            if count != 2:
                found.append(f"{os.path.basename(page)}: [{block}] occurs {count} times in examples/{file}")
    return found


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    problems = undocumented(sys.argv[1]) + lost_snippets(sys.argv[1])
    print("\n".join(problems) if problems else "every status has a row, every snippet a block")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
