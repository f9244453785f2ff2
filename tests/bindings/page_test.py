#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follows a page as a new user would, in an empty folder: writes each block that comes after a line
such as "`main.go`:" to the file of that name, and runs each block of sh.

    page_test.py PAGE SCRATCH [WORD=VALUE]...

A word, such as path/to/model, is what the page writes for VALUE.
"""
import os
import re
import shutil
import subprocess
import sys

BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.M | re.S)


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    page, scratch = sys.argv[1:3]
    shutil.rmtree(scratch, ignore_errors=True)
    os.makedirs(scratch)
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for word, value in (pair.split("=", 1) for pair in sys.argv[3:]):
        text = text.replace(word, value)
    ran = 0
    for name, language, block in BLOCK.findall(text):
        if name:
            place = os.path.join(scratch, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(block)
        elif language == "sh":
            print(f"$ {block}", end="", flush=True)
            subprocess.run(["sh", "-ec", block], cwd=scratch, check=True)
            ran += 1
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(main())
