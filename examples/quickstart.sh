#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a running MoE layer: installs what is missing, builds the CPU library
# and the mmoe tool into build/quickstart, and runs one layer of each of the two checkpoints in
# tests/data, one symmetric and one with zero points, against their recorded outputs.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/quickstart
step="set-up"
# shellcheck source=examples/setup.sh
source "$root/examples/setup.sh"

# The last line, whatever ended the script.
summarise() {
    local status=$?
    if ((status == 0)); then
        say "quickstart: built mmoe and ran a symmetric and an asymmetric layer;" \
            "all outputs within tolerance (${SECONDS} s)"
    else
        say "quickstart: FAILED in step '$step' after ${SECONDS} s"
    fi
    exit "$status"
}
trap summarise EXIT

say "set-up"
require_packages "${MMOE_BUILD_PACKAGES[@]}"

step="build"
say "building the CPU library and mmoe in $build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMMOE_CUDA=OFF \
    -DMMOE_BUILD_TESTS=OFF -DMMOE_BUILD_TOOLS=ON
cmake --build "$build" --parallel "$(nproc)" --target mmoe

for checkpoint in w4a16_sym_g128 w4a16_asym_g128; do
    step="run $checkpoint"
    say "running layer 0 of $checkpoint"
    "$build/examples/mmoe/mmoe" verify "$root/tests/data/ct/$checkpoint" --layer 0 \
        --reference "$root/tests/data/ct/$checkpoint/moe_io.safetensors"
done
