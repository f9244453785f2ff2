#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the man pages: man formats each without a warning, and mmoe(1) has every command and
option that `mmoe --help` lists.

    man_test.py MAN_FOLDER MMOE
"""
import os
import re
import subprocess
import sys


def warnings_of(page):
    result = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                            env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": ""})
    return [f"{page}: {line}" for line in result.stderr.splitlines()]


def help_of(mmoe, *arguments):
    return subprocess.run([mmoe, *arguments, "--help"], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def missing_from(page, mmoe):
    text = open(page, encoding="utf-8").read().replace("\\-", "-")
    commands = re.findall(r"^  (\w+) ", help_of(mmoe), re.M)
    options = {option for command in commands
               for option in re.findall(r"^  (--[\w-]+)", help_of(mmoe, command), re.M)}
    found = [f"{page}: no command {name}" for name in commands if f".B {name}\n" not in text]
    return found + [f"{page}: no option {name}" for name in sorted(options)
                    if not re.search(rf"^\.BI? {name}\b", text, re.M)]


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    folder, mmoe = sys.argv[1:]
    problems = missing_from(os.path.join(folder, "mmoe.1"), mmoe)
    for name in sorted(os.listdir(folder)):
        problems += warnings_of(os.path.join(folder, name))
    print("\n".join(problems) if problems else "every page formats without a warning")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
