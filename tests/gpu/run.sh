#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that is tested on a GPU, in one call of a few minutes that builds nothing:
#
#     run.sh BUILD [FIXTURES] [CSV]
#
# BUILD is a build folder, or a flat one with its programs and the library. FIXTURES has more
# checkpoints than tests/data. Parity of every row, features, fixtures, graphs, determinism, streams,
# a thousand load/run/unload cycles and a foreign context are inside the tests; compute-sanitizer
# looks at edge shapes; a forced JIT runs the kernels from the build's PTX (MMOE_GPU_SKIP_PTX: it has
# none). bench.sh writes its rows beside CSV, as NAME.bench.csv (MMOE_GPU_SKIP_BENCH: not at all).
# Prints one line a step, writes the same to CSV, and fails if a step did.
set -uo pipefail

build="${1:?usage: run.sh BUILD [FIXTURES] [CSV]}"
fixtures="${2:-$(dirname -- "${BASH_SOURCE[0]}")/../data}"
csv="${3:-/dev/null}"
log="$(mktemp)"
failed=0
trap 'rm -f "$log"' EXIT

library="$build/lib/libmarlin_moe.so.0"
[ -e "$library" ] || library="$build/libmarlin_moe.so.0"
export LD_LIBRARY_PATH="$(dirname -- "$library"):$build:${LD_LIBRARY_PATH:-}"
export MMOE_FIXTURES="$fixtures"
# Broken tiles, padding, empty and crowded experts, both widths and types, activation order.
edges="one token; one token, group 128; one token, channelwise, slots in halves; \
tokens end mid-tile; some skipped; all skipped; group 16; group 48; H padded; H odd; \
many experts; int8 bf16; int8 f16; f16 one token; relu2, not gated; activation order; \
misaligned hidden states; vLLM's order"
# racecheck is slow, and what it looks at does not depend on more.
race_edges="tokens end mid-tile; int8 f16; wide, group 192, part of a block; activation order"

program() { find "$build" -name "$1" -type f -perm -u+x | head -n 1; }

# step NAME COMMAND...: its word, its seconds, and on failure the end of what it said.
step() {
    local name="$1" start="$EPOCHREALTIME" status=0 word=ok
    shift
    "$@" >"$log" 2>&1 || status=$?
    [ "$status" -eq 0 ] || word=FAILED
    [ "$status" -eq 77 ] && word=skipped
    [ "$word" = FAILED ] && failed=1
    local seconds
    seconds="$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')"
    printf '%-34s %-8s %7s s\n' "$name" "$word" "$seconds"
    echo "$name,$word,$seconds" >>"$csv"
    [ "$word" != FAILED ] || grep -v -E '^\[ +(OK|RUN) ' "$log" | tail -n 15 | sed 's/^/    /'
}

sanitized() {
    local tool="$1"
    shift
    compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 "$@"
}

# The kernels of both types from PTX, side by side: the driver's compiler takes one processor.
from_ptx() {
    local type status=0
    local -a pids=()
    for type in bf16 f16; do
        env MMOE_GPU_ROW="moe_gemm.$type" CUDA_FORCE_PTX_JIT=1 CUDA_CACHE_DISABLE=1 \
            "$(program cuda_parity)" &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return "$status"
}

# Why racecheck judges the general rows only: its reports on hand-overs that are correct.
tell_racecheck_limits() {
    local way
    for way in flag lane; do
        if sanitized racecheck "$(program racecheck_limits)" "$way" >"$log" 2>&1; then
            echo "    racecheck follows a hand-over by $way"
        elif grep -q "Race reported" "$log"; then
            echo "    racecheck reports a correct hand-over by $way, so the Hopper rows are left out"
        else
            echo "    racecheck_limits $way FAILED" && failed=1
        fi
    done
}

# The example that captures a graph, on the first checkpoint.
capture_example() {
    local checkpoint
    checkpoint="$(find "$fixtures" -name moe_io.safetensors | sort | head -n 1)"
    "$(program example_cuda_graph)" "$(dirname -- "$checkpoint")"
}

verify_all() {
    local checkpoint status=0
    for checkpoint in "$fixtures"/ct/* "$fixtures"/awq_gptq/*; do
        [ -e "$checkpoint/moe_io.safetensors" ] || continue
        "$(program mmoe)" verify "$checkpoint" --device cuda:0 \
            --reference "$checkpoint/moe_io.safetensors" || status=1
    done
    return "$status"
}

echo "step,result,seconds" >"$csv"
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
for test in cuda_parity cuda_layer cuda_features cuda_bundle cuda_repack cuda_marlin cuda_self_test; do
    step "$test" "$(program "$test")"
done
for test in parity_marlin golden_marlin_bundle; do
    step "$test" env MMOE_TEST_DEVICE=cuda "$(program "$test")"
done
table="$(find "$build" "$(dirname -- "${BASH_SOURCE[0]}")" -name resources.csv | head -n 1)"
step "cuda_resources" "$(program cuda_resources)" "$table"
step "cuda_life" "$(program cuda_life)" "$library"
step "values" "$(program cuda_values)"
step "out of device memory" "$(program cuda_no_memory)"
step "soak, 100,000 runs" "$(program cuda_soak)"
step "fixtures" verify_all
[ -z "$(program example_cuda_graph)" ] || step "example of a graph" capture_example
[ -n "${MMOE_GPU_SKIP_PTX:-}" ] || step "parity from PTX" from_ptx
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck initcheck synccheck; do
        step "$tool, edge shapes" env MMOE_GPU_FILTER="$edges" MMOE_GPU_REPLAYS=2 \
            compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 \
            "$(program cuda_parity)"
    done
    step "racecheck, edge shapes" env MMOE_GPU_FILTER="$race_edges" MMOE_GPU_REPLAYS=1 \
        MMOE_GPU_ROW=sm80 compute-sanitizer --tool racecheck --error-exitcode 9 --print-limit 5 \
        "$(program cuda_parity)"
    tell_racecheck_limits
    step "memcheck, repack" sanitized memcheck "$(program cuda_repack)"
    step "memcheck, self-test" sanitized memcheck "$(program cuda_self_test)"
    step "memcheck, five lives" env MMOE_GPU_CYCLES=5 compute-sanitizer --tool memcheck \
        --error-exitcode 9 --print-limit 5 "$(program cuda_life)" "$library"
else
    echo "compute-sanitizer is not here"
fi
[ -n "${MMOE_GPU_SKIP_BENCH:-}" ] ||
    step "benchmark, three starts" "$(dirname -- "${BASH_SOURCE[0]}")/bench.sh" "$build" \
        "$([ "$csv" = /dev/null ] && echo /dev/null || echo "${csv%.csv}.bench.csv")"
exit "$failed"
