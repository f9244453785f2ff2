#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures how much of the host code the tests run, in a build of its own (build/coverage), and
# fails below the goals. Left out: branches that only throw, and files that need a CUDA device.
# Writes build/coverage/coverage.html and, for the closing lines, coverage.json.
set -euo pipefail

LINES_WANTED=95
BRANCHES_WANTED=85
root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
build="$root/build/coverage"
# shellcheck source=examples/setup.sh
. "$root/examples/setup.sh"

ensure_needs "${BUILD_NEEDS[@]}" "${TEST_NEEDS[@]}" "command gcovr gcovr"
# Optimised a little: kernels without it take minutes. GCC 12 warns of counters that it misreads.
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Coverage -DMMOE_CUDA=OFF \
    -DMMOE_WERROR=OFF \
    -DCMAKE_C_FLAGS_COVERAGE="-O1 -g --coverage" \
    -DCMAKE_CXX_FLAGS_COVERAGE="-O1 -g --coverage" \
    -DCMAKE_EXE_LINKER_FLAGS_COVERAGE=--coverage \
    -DCMAKE_SHARED_LINKER_FLAGS_COVERAGE=--coverage
cmake --build "$build" --parallel "$(nproc)"
find "$build" -name '*.gcda' -delete
ctest --test-dir "$build" --output-on-failure --timeout 600 --parallel "$(nproc)" \
    -LE "package|docs|arch" || true

# The compiler noted sources relative to the build folder.
(cd "$build" && gcovr --root "$root" --object-directory "$build" \
    --filter "$root/lib/" --exclude '.*/cuda[a-z_]*\.(cpp|h)' \
    --exclude-throw-branches --exclude-unreachable-branches \
    --html coverage.html --json-summary coverage.json "$build" >/dev/null)
python3 - "$build/coverage.json" "$LINES_WANTED" "$BRANCHES_WANTED" <<'PYTHON'
import json
import sys

summary = json.load(open(sys.argv[1], encoding="utf-8"))
lines_wanted, branches_wanted = map(float, sys.argv[2:])
READERS = ("lib/checkpoint/", "lib/unpack/")
missed = [file for file in summary["files"]
          if file["filename"].startswith(READERS) and file["line_covered"] < file["line_total"]]
for file in missed:
    print(f"reader {file['filename']}: {file['line_total'] - file['line_covered']} lines missed")
lines, branches = summary["line_percent"], summary["branch_percent"]
print(f"coverage of host code: {lines} % of {summary['line_total']} lines, "
      f"{branches} % of {summary['branch_total']} branches")
sys.exit(bool(missed) or lines < lines_wanted or branches < branches_wanted)
PYTHON
