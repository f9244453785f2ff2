#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test that this machine can run: installs what is missing, configures and builds
# into build/run (with CUDA where there is an nvcc), runs CTest, and closes with one line that
# says what was done.
set -euo pipefail

root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
build="$root/build/run"
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

current="start"
step() {
    current="$*"
    echo
    echo "== $current (${SECONDS} s)"
}

# The last line, whatever ended the script.
summarise() {
    local status=$?
    echo
    if [ "$status" -eq 0 ]; then
        echo "tests/run.sh: $(tests_summary) in ${SECONDS} s; $(cuda_summary)"
    else
        echo "tests/run.sh: FAILED in '$current' after ${SECONDS} s"
    fi
    exit "$status"
}
trap summarise EXIT

# Such as "100% tests passed, 0 tests failed out of 33 (2 skipped)".
tests_summary() {
    local skipped
    skipped="$(grep -c -E '\*\*\*(Skipped|Not Run)' "$build/ctest.log" || true)"
    echo "$(grep 'tests passed' "$build/ctest.log") ($skipped skipped)"
}

cuda_summary() { grep -m 1 -o -E 'CUDA: (yes|no).*' "$build/configure.log"; }

step "1/4 packages"
ensure_needs "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
offer_wishes "${TEST_WISHES[@]}"
step "2/4 configure"
mkdir -p "$build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DMMOE_CUDA=AUTO \
    -DMMOE_BUILD_TESTS=ON -DMMOE_BUILD_TOOLS=ON 2>&1 | tee "$build/configure.log"
step "3/4 build"
cmake --build "$build" --parallel "$(nproc)"
step "4/4 test"
ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 300 \
    --parallel "$(nproc)" 2>&1 | tee "$build/ctest.log"
