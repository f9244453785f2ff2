#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, configures, builds and runs every test.
#     tests/run.sh [PRESET]      PRESET: cpu (default), cuda, asan, tsan
set -euo pipefail

preset="${1:-cpu}"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"
cd "$root"

step() { echo; echo "== $* (${SECONDS} s)"; }

step "1/4 packages"
ensure_needs "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}"
step "2/4 configure"
cmake --preset "$preset"
step "3/4 build"
cmake --build --preset "$preset"
step "4/4 test"
ctest --preset "$preset"

echo "tests/run.sh: built build/$preset and passed every test of it in ${SECONDS} s"
