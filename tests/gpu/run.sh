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
# none). Prints one
# line a step, writes the same to CSV, and fails if a step did.
set -uo pipefail

build="${1:?usage: run.sh BUILD [FIXTURES] [CSV]}"
fixtures="${2:-$(dirname -- "${BASH_SOURCE[0]}")/../data}"
csv="${3:-/dev/null}"
log="$(mktemp)"
failed=0
trap 'rm -f "$log"' EXIT

library="$(find "$build" -name 'libmarlin_moe.so.0' | head -n 1)"
export LD_LIBRARY_PATH="$(dirname -- "$library"):$build:${LD_LIBRARY_PATH:-}"
export MMOE_FIXTURES="$fixtures"
# Broken tiles, padding, empty and crowded experts, both widths and types, activation order.
edges="one token; tokens end mid-tile; some skipped; all skipped; group 16; group 48; H padded; \
H odd; many experts; int8 bf16; int8 f16; f16 one token; relu2, not gated; activation order; \
misaligned hidden states; column blocks"

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
for test in cuda_parity cuda_layer cuda_bundle cuda_repack cuda_marlin cuda_self_test; do
    step "$test" "$(program "$test")"
done
table="$(find "$build" "$(dirname -- "${BASH_SOURCE[0]}")" -name resources.csv | head -n 1)"
step "cuda_resources" "$(program cuda_resources)" "$table"
step "cuda_life" "$(program cuda_life)" "$library"
step "values" "$(program cuda_values)"
step "out of device memory" "$(program cuda_no_memory)"
step "soak, 100,000 runs" "$(program cuda_soak)"
step "fixtures" verify_all
[ -n "${MMOE_GPU_SKIP_PTX:-}" ] ||
    step "parity from PTX" env MMOE_GPU_ROW=sm80 CUDA_FORCE_PTX_JIT=1 CUDA_CACHE_DISABLE=1 \
        "$(program cuda_parity)"
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
        step "$tool, edge shapes" env MMOE_GPU_FILTER="$edges" MMOE_GPU_REPLAYS=2 \
            compute-sanitizer --tool "$tool" --error-exitcode 9 --print-limit 5 \
            "$(program cuda_parity)"
    done
    step "memcheck, repack" sanitized memcheck "$(program cuda_repack)"
    step "memcheck, self-test" sanitized memcheck "$(program cuda_self_test)"
    step "memcheck, five lives" env MMOE_GPU_CYCLES=5 compute-sanitizer --tool memcheck \
        --error-exitcode 9 --print-limit 5 "$(program cuda_life)" "$library"
else
    echo "compute-sanitizer is not here"
fi
exit "$failed"
