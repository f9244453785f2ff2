#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what a reader of the README tries first: its C compiles as a function body, and every file
that it or another page outside of Doxygen links to is there.

    readme_test.py SOURCE_DIR CC
"""
import os
import re
import subprocess
import sys

PAGES = ("README.md", "STABILITY.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md",
         "docs/benchmarks/README.md", "bindings/rust/README.md", "bindings/go/README.md")


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return file.read()


def broken_links(root):
    """Of the forms [text](path), src="path" and srcset="path"."""
    for page in PAGES:
        folder = os.path.dirname(os.path.join(root, page))
        for one, other in re.findall(r"\]\(([^)#]+)[^)]*\)|src(?:set)?=\"([^\"]+)\"", read(root, page)):
            link = one or other
            if "://" not in link and not os.path.exists(os.path.join(folder, link)):
                yield f"{page}: {link} does not exist"


def compile_problems(root, compiler):
    block = re.search(r"```c\n(.*?)```", read(root, "README.md"), re.S).group(1)
    include, body = block.split("\n", 1)
    program = f"{include}\n#include <stddef.h>\nvoid readme(mmoe_run_args args) {{\n{body}}}\n"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]
    compiled = subprocess.run([compiler, "-x", "c", *flags, "-fsyntax-only", "-I",
                               os.path.join(root, "include"), "-"],
                              input=program, stderr=subprocess.PIPE, text=True, check=False)
    return compiled.stderr.splitlines()


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    problems = [*broken_links(sys.argv[1]), *compile_problems(*sys.argv[1:])]
    print("\n".join(problems) if problems else "the README compiles, and its links lead somewhere")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
