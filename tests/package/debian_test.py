#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the Debian packages of a folder: which package has what, what each needs, and what lintian
says where it is installed.

    debian_test.py FOLDER_OF_PACKAGES
"""
import glob
import os
import re
import shutil
import subprocess
import sys

# Endings of the files that a package must have; no other package may have them.
CONTENTS = {
    r"libmarlin-moe\d+": ["/libmarlin_moe.so.0"],
    "libmarlin-moe-dev": ["/include/marlin_moe.h", "/libmarlin_moe.so", "/libmarlin_moe.a",
                          "/pkgconfig/marlin_moe.pc", "/cmake/marlin_moe/marlin_moeConfig.cmake",
                          "/man7/libmarlin_moe.7.gz"],
    "marlin-moe-tools": ["/bin/mmoe", "/man1/mmoe.1.gz"],
}
ACCEPTED = (
    "bogus-mail-host", "bogus-mail-host-in-debian-changelog",  # the authors have no address
    "lacks-ldconfig-trigger", "maintscript-calls-ldconfig",  # cpack writes those scripts
    "custom-library-search-path",  # relative, so that an unpacked tree runs anywhere
    "pkg-config-unavailable-for-cross-compilation",  # only where the prefix was not /usr
)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def files_of(package):
    """Of lines such as `lrwxrwxrwx root/root 0 2026-11-24 15:21 ./usr/lib/a.so -> a.so.0`."""
    return [line.split()[5] for line in output("dpkg-deb", "--contents", package).splitlines()]


def field(path, name):
    return output("dpkg-deb", "--field", path, name).strip()


def content_problems(packages):
    """`packages`: names to files."""
    for pattern, endings in CONTENTS.items():
        for ending in endings:
            holders = [name for name, files in packages.items()
                       if any(file.endswith(ending) for file in files)]
            if len(holders) != 1 or not re.fullmatch(pattern, holders[0]):
                yield f"{ending}: expected in {pattern}, got {holders}"
    for name, files in packages.items():
        for page in ("copyright", "changelog.gz"):
            if not any(file.endswith(f"/doc/{name}/{page}") for file in files):
                yield f"{name}: no {page}"


def dependency_problems(fields):
    """`fields`: names to (version, dependencies)."""
    library = next(name for name in fields if re.fullmatch(r"libmarlin-moe\d+", name))
    version, needs = fields[library]
    foreign = set(re.findall(r"(?:^|, )([\w.+-]+)", needs)) - {"libc6", "libgcc-s1", "libstdc++6"}
    if foreign or "libc6" not in needs:
        yield f"{library}: expected to need libc6 and the GCC run times, got '{needs}'"
    for name in fields.keys() - {library}:
        if f"{library} (= {version})" not in fields[name][1]:
            yield f"{name}: does not need {library} of its own version: '{fields[name][1]}'"


def lintian_problems(paths):
    if shutil.which("lintian") is None:
        print("lintian is not installed: its opinion is missing")
        return []
    said = subprocess.run(["lintian", "--allow-root", "--suppress-tags", ",".join(ACCEPTED), *paths],
                          stdout=subprocess.PIPE, text=True, check=False).stdout
    return [line for line in said.splitlines() if line.startswith(("E:", "W:"))]


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    paths = sorted(glob.glob(os.path.join(sys.argv[1], "*.deb")))
    if not paths:
        print("skipped: no Debian packages were made here")
        return 0
    names = {field(path, "Package"): path for path in paths}
    problems = [*content_problems({name: files_of(path) for name, path in names.items()}),
                *dependency_problems({name: (field(path, "Version"), field(path, "Depends"))
                                      for name, path in names.items()}),
                *lintian_problems(paths)]
    print("\n".join(problems) if problems else f"{', '.join(names)}: as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
