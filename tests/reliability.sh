#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Prints every number of docs/reliability.md, as the rows of its table: the fault tests in their
# long form, the soak and the fuzzing ledger; with --valgrind what memcheck says of the programs,
# with --coverage the coverage of the tests, with --gpu a CUDA build's part on this machine's GPU.
#     reliability.sh [--soak SECONDS] [--valgrind] [--coverage] [--gpu BUILD]
# An hour of soak unless told. Builds into build/cpu and, for the coverage, build/coverage.
set -euo pipefail

soak_seconds=3600
with_valgrind=no
with_coverage=no
gpu_build=""
while [ $# -gt 0 ]; do
    case "$1" in
        --soak) soak_seconds="$2"; shift ;;
        --valgrind) with_valgrind=yes ;;
        --coverage) with_coverage=yes ;;
        --gpu) gpu_build="$2"; shift ;;
        *) sed -n '6s/^# *//p' "$0" >&2; exit 2 ;;
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
if [ -n "$gpu_build" ]; then
    for test in values no_memory soak; do
        "$gpu_build/tests/gpu/cuda_$test" 2>/dev/null | words_of | row "cuda_$test"
    done
fi
if [ "$with_valgrind" = yes ]; then
    cmake --build "$build" >/dev/null
    "$root/tests/valgrind.py" "$build" | tail -1 | row valgrind
fi
if [ "$with_coverage" = yes ]; then
    "$root/tests/coverage.sh" 2>&1 | tail -1 | row coverage
fi
