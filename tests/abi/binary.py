#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the built library shows to the linker: exactly the documented symbols leave it, it needs
nothing that a user would have to install, none of our objects can end or talk for the process, and
a release is hardened: read-only relocations, bound at once, checked stacks and copies.

    binary.py HEADER MAP LIBRARY OBJECT...
"""
import re
import subprocess
import sys

import header as public_header

# glibc and the GCC runtime; libdl, libpthread and librt were parts of glibc before 2.34.
ALLOWED_NEEDED = re.compile(r"lib(c|m|dl|pthread|rt|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+")

# Functions that end the process, write to its streams or install handlers.
FORBIDDEN = re.compile(r"(__)?(abort|exit|_exit|_Exit|quick_exit|assert_fail|v?f?printf(_chk)?|puts|"
                       r"putchar|fputs|fputc|putc|fwrite|fopen|v?dprintf|perror|syslog|stdout|stderr|"
                       r"signal|sigaction|raise|kill|atexit|system|longjmp)|"
                       r"_ZSt4(cout|cerr|clog)")


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exported_symbols(library):
    """Defined dynamic symbols, without the version nodes themselves."""
    rows = (line.split() for line in run("nm", "-D", "--defined-only", library).splitlines())
    return {row[-1].split("@")[0] for row in rows if row[-2] != "A"}


def map_symbols(path):
    text = re.sub(r"#.*", "", open(path, encoding="utf-8").read())
    return set(re.findall(r"^\s*(\w+);", text, re.M))


def undefined_symbols(item):
    return {line.split()[-1] for line in run("nm", "-u", item).splitlines() if line.startswith(" ")}


def differences(what, expected, got):
    return ([f"{what}: {name} is missing" for name in sorted(expected - got)] +
            [f"{what}: {name} is not in the header" for name in sorted(got - expected)])


def needed_libraries(library):
    return re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", library))


def hardening_problems(library, objects):
    dynamic = run("readelf", "-dW", library)
    segments = run("readelf", "-lW", library)
    called = set().union(*map(undefined_symbols, objects))
    wanted = {
        "read-only relocations (RELRO)": "GNU_RELRO" in segments,
        "symbols bound at once (BIND_NOW)": "BIND_NOW" in dynamic,
        "no text relocations": "TEXTREL" not in dynamic,
        "no search path of its own": not re.search(r"\((RPATH|RUNPATH)\)", dynamic),
        "a stack that is not code": re.search(r"GNU_STACK.* RW +0x", segments) is not None,
        "stack protector": "__stack_chk_fail" in called,
        "checked copies (_FORTIFY_SOURCE)": any(name.endswith("_chk") for name in called),
    }
    return [f"library: expected {what}" for what, is_so in wanted.items() if not is_so]


def host_stub_calls(item):
    """nvcc gives every device function a host body that is never called and calls exit, and has a
    file's device code unregistered by atexit, which runs when the library is unloaded."""
    return {"exit", "atexit"} if item.endswith(".cu.o") else set()


def problems(header_path, map_path, library, objects):
    declared = {function.name for function in public_header.parse(header_path).functions}
    found = differences("export map", declared, map_symbols(map_path))
    found += differences("library", declared, exported_symbols(library))
    found += [f"library needs {name}" for name in needed_libraries(library)
              if not ALLOWED_NEEDED.fullmatch(name)]
    found += hardening_problems(library, objects)
    found += [f"{item}: calls {name}" for item in objects
              for name in sorted(undefined_symbols(item) - host_stub_calls(item))
              if FORBIDDEN.fullmatch(name)]
    return found


def main():
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    found = problems(*sys.argv[1:4], sys.argv[4:])
    print("\n".join(found) if found else f"{len(sys.argv) - 4} objects, nothing to complain about")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
