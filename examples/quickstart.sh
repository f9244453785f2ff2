#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the CPU library and the `mmoe` tool, then runs one layer of two real checkpoints, one
# symmetric and one asymmetric, and compares with the output that their quantiser recorded.
#     examples/quickstart.sh [MMOE]      MMOE: a built tool, instead of building one
set -euo pipefail

root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
mmoe="${1:-}"

build_tool() {
    # shellcheck source=examples/setup.sh
    . "$root/examples/setup.sh"
    echo "== packages"
    ensure_needs "${BUILD_NEEDS[@]}"
    echo "== build: library and tool, about a minute"
    (cd "$root" && cmake --preset quickstart && cmake --build --preset quickstart)
    mmoe="$root/build/quickstart/examples/mmoe"
}

[ -n "$mmoe" ] || build_tool
for checkpoint in w4a16_sym_g128 w4a16_asym_g32_fp16; do
    directory="$root/tests/data/ct/$checkpoint"
    echo
    echo "== $checkpoint"
    "$mmoe" inspect "$directory"
    "$mmoe" verify "$directory" --layer 0 --reference "$directory/moe_io.safetensors"
done
echo
echo "quickstart.sh: two checkpoints ran and match their references in ${SECONDS} s; next: $mmoe --help"
