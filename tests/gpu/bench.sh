#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rows for docs/benchmarks/h100.csv: every point of cuda_bench is the middle one of three process
# starts.
#
#     bench.sh BUILD CSV [ARGUMENTS OF cuda_bench]
#
# BUILD is a build folder, or a flat one with its programs. Prints what the card's memory does in the
# same minute, and each point's row. MMOE_COMMIT names the commit; MMOE_GPU_ROW is a part of the
# names of the rows to choose from.
set -euo pipefail

build="${1:?usage: bench.sh BUILD CSV [ARGUMENTS]}"
csv="${2:?usage: bench.sh BUILD CSV [ARGUMENTS]}"
shift 2
program="$(find "$build" -name cuda_bench -type f -perm -u+x | head -n 1)"
runs="$(mktemp -d)"
trap 'rm -rf "$runs"' EXIT
MMOE_CLOCKS="${MMOE_CLOCKS:-$(nvidia-smi --query-gpu=clocks.max.sm --format=csv,noheader,nounits |
    head -n 1)}"
export MMOE_CLOCKS

for start in 1 2 3; do "$program" "$@" >"$runs/$start.csv"; done
head -n 1 "$runs/1.csv" >"$csv"
# Rows of a point stand on the same line of every file.
paste -d '\n' "$runs"/[123].csv | awk -F, '
    $11 == "us_median" { next }
    { line[n] = $0; time[n] = $11; n += 1 }
    n == 3 {
        for (i = 0; i < 3; ++i) {
            a = time[(i + 1) % 3]; b = time[(i + 2) % 3]
            if ((a <= time[i] && time[i] <= b) || (b <= time[i] && time[i] <= a)) break
        }
        print line[i]
        n = 0
    }' >>"$csv"
