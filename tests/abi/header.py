#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What include/marlin_moe.h declares, read from its text, in the forms that the ABI tests need.

    header.py HEADER tables   C: addresses of all functions, sizes and offsets of all structures,
                              values of all constants but the version (tests/abi/tables.h)
    header.py HEADER cdef     the declarations without preprocessor lines, for cffi and LuaJIT
    header.py HEADER stubs    C: every function with an empty body, to be compiled with debug
                              information for abidiff
    header.py HEADER next     the header as the next version may have it: one more member in every
                              structure that says its size, one more function

The header is written for readers like this one: one style, no function-like macros, no unions.
Text that this file cannot read is therefore an error.
"""
import re
import sys
from typing import List, NamedTuple


class Parameter(NamedTuple):
    type: str
    name: str

    @property
    def is_pointer(self):
        return "*" in self.type or self.type.endswith("_fn")


class Function(NamedTuple):
    name: str
    returns: str
    parameters: List[Parameter]

    @property
    def pointers(self):
        """Pointer parameters that a caller may get wrong: all but the trailing error."""
        return [p for p in self.parameters if p.is_pointer and p.name != "error"]


class Struct(NamedTuple):
    name: str
    members: List[str]


class Header(NamedTuple):
    declarations: str
    functions: List[Function]
    structs: List[Struct]
    constants: List[str]


def without_preprocessor(text):
    """Drops comments, directives and the C++ guard; a number macro becomes an enum constant."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    text = re.sub(r"^#define (MMOE_[A-Z_]+) +(\(?-?\d+\)?) *$", r"enum { \1 = \2 };", text, flags=re.M)
    text = re.sub(r"^#ifdef __cplusplus\n.*?^#endif$", "", text, flags=re.M | re.S)
    text = re.sub(r"^ *#.*\n", "", text, flags=re.M)
    text = re.sub(r"\bMMOE_API ", "", text)
    return re.sub(r"\n\s*\n+", "\n", text).strip() + "\n"


def member_names(body):
    names = []
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        callback = re.search(r"\(\*(\w+)\)\(", declaration)
        plain = re.search(r"(\w+)(\[\w+\])?$", declaration)
        names.append((callback or plain).group(1))
    return names


def parse(path):
    with open(path, encoding="utf-8") as file:
        declarations = without_preprocessor(file.read())
    structs = [Struct(m.group(1), member_names(m.group(2)))
               for m in re.finditer(r"typedef struct (\w+) \{(.*?)\} \1;", declarations, re.S)]
    constants = [name for m in re.finditer(r"enum \{(.*?)\};", declarations, re.S)
                 for name in re.findall(r"(MMOE_\w+)\s*=", m.group(1))
                 if not name.startswith("MMOE_VERSION_")]
    functions = []
    rest = re.sub(r"\{.*?\}", "", declarations, flags=re.S)
    for m in re.finditer(r"^(?!typedef)([\w ]+\*? )(mmoe_\w+)\(([^;]*)\);", rest, re.M):
        parameters = []
        for text in " ".join(m.group(3).split()).split(", "):
            if text != "void":
                kind, name = re.fullmatch(r"(.*?[ *])(\w+)", text).groups()
                parameters.append(Parameter(kind.strip(), name))
        functions.append(Function(m.group(2), m.group(1).strip(), parameters))
    if not functions or len(functions) != len(re.findall(r"^MMOE_API ", open(path).read(), re.M)):
        raise SystemExit(f"{path}: {len(functions)} functions read, but MMOE_API occurs more often")
    return Header(declarations, functions, structs, constants)


def tables(header):
    lines = ["/* Generated from the public header by tests/abi/header.py. */",
             "static const struct AbiFunction kFunctions[] = {"]
    lines += [f'    {{"{f.name}", (void (*)(void))&{f.name}, {len(f.pointers)}}},'
              for f in header.functions]
    lines += ["};", "", "static const struct AbiNumber kNumbers[] = {"]
    lines += [f'    {{"{name}", (long long)({name})}},' for name in header.constants]
    for struct in header.structs:
        lines.append(f'    {{"{struct.name}", sizeof({struct.name})}},')
        lines += [f'    {{"{struct.name}.{member}", offsetof({struct.name}, {member})}},'
                  for member in struct.members]
    return "\n".join(lines + ["};", ""])


def stubs(header):
    lines = ["/* Generated from the public header by tests/abi/header.py. */",
             '#include "marlin_moe.h"', ""]
    for function in header.functions:
        listed = ", ".join(f"{p.type} {p.name}" for p in function.parameters) or "void"
        unused = " ".join(f"(void){p.name};" for p in function.parameters)
        result = "" if function.returns == "void" else "return 0;"
        lines.append(f"{function.returns} {function.name}({listed}) {{ {unused} {result} }}")
    return "\n".join(lines + [""])


def next_version(text):
    """mmoe_error stays as it is: callers may leave its size out."""
    text = re.sub(r"(typedef struct (mmoe_(?!error\b)\w+) \{\s*uint32_t struct_size;.*?)\} \2;",
                  r"\1    uint64_t next_member; /**< 0: as before. */\n} \2;", text, flags=re.S)
    text = re.sub(r"(#define MMOE_VERSION_MINOR) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 1}", text)
    return text.replace("MMOE_API uint32_t mmoe_version(void);",
                        "MMOE_API uint32_t mmoe_version(void);\nMMOE_API int mmoe_next_function(void);")


def main():
    forms = {"tables": tables, "cdef": lambda header: header.declarations, "stubs": stubs}
    if len(sys.argv) == 3 and sys.argv[2] == "next":
        with open(sys.argv[1], encoding="utf-8") as file:
            sys.stdout.write(next_version(file.read()))
    elif len(sys.argv) == 3 and sys.argv[2] in forms:
        sys.stdout.write(forms[sys.argv[2]](parse(sys.argv[1])))
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
