#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Searches with one fuzz target and adds the run to the ledger.
#     search.sh TARGET [SECONDS [EXECUTIONS]]     builds it with clang into build/fuzz; ends after
#                                                 300 s unless told, or so many executions
# MMOE_FUZZ_TIMEOUT: seconds that an input may take, 1 unless told. They are not seconds of
# computing: a busy machine needs more.
set -euo pipefail

if [ $# -lt 1 ]; then
    sed -n '3,7s/^# //p' "$0" >&2
    exit 2
fi
target="$1"
seconds="${2:-300}"
executions_wanted="${3:--1}"
folder="$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
root="$folder/../.."
build="$root/build/fuzz"
found="$build/found/$target"
log="$build/$target.log"

mkdir -p "$found"
CC=clang CXX=clang++ cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DMMOE_FUZZ=ON -DMMOE_CUDA=OFF -DMMOE_BUILD_TOOLS=OFF
cmake --build "$build" --target "fuzz_$target"

# What a target can make use of: longer inputs are slower and no deeper.
case "$target" in
    repack | unpack) max_bytes=256 ;;
    saved_bundle) max_bytes=8192 ;;
    *) max_bytes=1024 ;;
esac

# Statistics of rare features (entropic) take longer than a small input.
result="nothing found"
ASAN_OPTIONS=allocator_may_return_null=1:malloc_context_size=3:quarantine_size_mb=32 \
    "$build/tests/fuzz/fuzz_$target" \
    -dict="$folder/checkpoint.dict" -max_len="$max_bytes" -entropic=0 -rss_limit_mb=512 \
    -timeout="${MMOE_FUZZ_TIMEOUT:-1}" -runs="$executions_wanted" \
    -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$build/$target." \
    "$found" "$folder/corpus/$target" 2>&1 | tee "$log" || result="stopped: see the commit after"
executions="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
python3 "$folder/ledger.py" add "$target" "$executions" \
    "$(git -C "$root" rev-parse --short HEAD)" "$(date +%F)" "$result"
[ "$result" = "nothing found" ]
