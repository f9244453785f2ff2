#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints every number of docs/reliability.md, as the rows of its table: the fault tests in their
# long form, the soak, the fuzzing ledger and, with --coverage, the coverage of the tests.
#     reliability.sh [--soak SECONDS] [--coverage]     an hour of soak unless told; build/cpu
set -euo pipefail

soak_seconds=3600
with_coverage=no
while [ $# -gt 0 ]; do
    case "$1" in
        --soak) soak_seconds="$2"; shift ;;
        --coverage) with_coverage=yes ;;
        *) sed -n '5s/^# *//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
root="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"
build="$root/build/cpu"
fault_tests=(no_memory disk damage hostile_bundle shapes tensors values threads)

cmake --preset cpu -S "$root" >/dev/null
targets=(soak abi_dlopen)
for test in "${fault_tests[@]}"; do targets+=("fault_$test"); done
cmake --build "$build" --target "${targets[@]}" >/dev/null

# A test's own words, one row each: they are what is neither cmocka's nor an error's.
words_of() { grep -v -E '^(\[|ERROR|$)' || true; }
row() { while read -r line; do echo "| $1 | $line |"; done; }

echo "$(date +%F), commit $(git -C "$root" rev-parse --short HEAD), $(nproc) cores"
echo
echo "| test | result |"
echo "|---|---|"
for test in "${fault_tests[@]}"; do
    MMOE_NIGHTLY=1 "$build/tests/fault/fault_$test" 2>"$build/fault_$test.err" | words_of |
        row "fault_$test"
done
MMOE_LIBRARY="$build/lib/libmarlin_moe.so" "$build/tests/abi/abi_dlopen" >/dev/null 2>&1
echo "| abi_dlopen | loaded, used with its threads and unloaded: 1000 times |"
MMOE_SOAK_SECONDS="$soak_seconds" "$build/tests/soak/soak" 2>/dev/null | words_of | row soak
python3 "$root/tests/fuzz/ledger.py" |
    while read -r target executions; do
        echo "| fuzz $target | $executions executions under address,undefined |"
    done
if [ "$with_coverage" = yes ]; then
    "$root/tests/coverage.sh" 2>&1 | tail -1 | row coverage
fi
