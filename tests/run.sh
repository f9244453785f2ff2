#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test that this machine can run: installs what is missing, configures and builds
# into build/run, runs CTest, and closes with one line that says what was done.
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/run
jobs=$(nproc)
step="set-up"
# shellcheck source=examples/setup.sh
source "$root/examples/setup.sh"

# The last line, whatever ended the script.
summarise() {
    local status=$?
    if ((status == 0)); then
        say "tests/run.sh: $(ctest_summary) in ${SECONDS} s; $(cuda_summary)"
    else
        say "tests/run.sh: FAILED in step '$step' after ${SECONDS} s"
    fi
    exit "$status"
}
trap summarise EXIT

# Such as "100% tests passed, 0 tests failed out of 33", with the number of those skipped.
ctest_summary() {
    local skipped
    skipped=$(grep -c -E '\*\*\*(Skipped|Not Run)' "$build/ctest.log" || true)
    printf '%s (%s skipped)' "$(grep -E 'tests passed' "$build/ctest.log")" "$skipped"
}

cuda_summary() { grep -m 1 -o -E 'CUDA: (yes|no).*' "$build/configure.log"; }

say "set-up"
require_packages "${MMOE_TEST_PACKAGES[@]}"

step="configure"
say "configuring $build"
mkdir -p "$build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMMOE_CUDA=AUTO \
    -DMMOE_BUILD_TESTS=ON -DMMOE_BUILD_TOOLS=ON 2>&1 | tee "$build/configure.log"

step="build"
say "building with $jobs jobs"
cmake --build "$build" --parallel "$jobs"

step="test"
say "testing"
ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 300 \
    --parallel "$jobs" 2>&1 | tee "$build/ctest.log"
