#!/bin/bash
# The peak memory that pretrain --dry-run predicts, against what the same run took.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
if is_sanitized; then
    skip "predicted memory" "a sanitizer's own memory is not in the prediction"
    finish
fi
if [ ! -x /usr/bin/time ]; then
    skip "predicted memory" "no /usr/bin/time"
    finish
fi
needs "data synth" data synth --bytes 300K --words builtin --out corpus.jsonl
needs "tokenizer train" tokenizer train --vocab-size 1024 --out tok corpus.jsonl
needs "data build" data build --tokenizer tok --heldout 0.05 --out shards corpus.jsonl
needs "init" init --config quickstart --tokenizer tok --out init

measure() { # NAME OPTION...
    local name=$1 predicted measured
    shift
    local options=(--model init --data shards --out "run-$name" --batch "${batch:-4}" --micro-batch 4
        --steps 2 --warmup 1 "$@")
    works "the plan of $name" pretrain "${options[@]}" --dry-run
    predicted=$(sed -nE 's/^peak memory .*\(([0-9]+) bytes\)$/\1/p' "$out")
    /usr/bin/time -f %M -o "$work/kib" "$FATHOM" pretrain "${options[@]}" >"$out" 2>"$err" ||
        fail "the run of $name" "$(tail -n 1 "$err")"
    measured=$(($(tail -n 1 "$work/kib") * 1024))
    echo "$name: predicted ${predicted:-nothing}, measured $measured bytes"
    check "peak memory of $name: $predicted predicted, $measured measured, over 3% apart" \
        awk -v p="${predicted:-0}" -v m="$measured" \
        'BEGIN { exit !(p >= 0.97 * m && p <= 1.03 * m) }'
}
measure "selective" --recompute selective
measure "layer" --recompute layer
measure "average" --ema 0.99
measure "fp8" --precision fp8 --moments bf16
batch=8 measure "pipeline" --ranks 2 --pipeline-stages 2 # both its micro-batches are in flight

# A budget between what all and no recomputed layers take.
peak() { sed -nE 's/^peak memory .*\(([0-9]+) bytes\)$/\1/p' "$out"; }
options=(--model init --data shards --out run-budget --batch 4 --micro-batch 4 --steps 2 --warmup 1)
works "the plan without a budget" pretrain "${options[@]}" --dry-run
most=$(peak)
works "the plan that recomputes all" pretrain "${options[@]}" --recompute layer --dry-run
least=$(peak)
budget=$(((most + least) / 2))
works "the plan with a budget" pretrain "${options[@]}" --memory "$budget" --dry-run
check "the budgeted plan takes $(peak) bytes of $budget" test "$(peak)" -le "$budget"
budget=$(($(peak) * 103 / 100 + (2 << 20))) # away from where the number of layers changes
check "it recomputes neither no nor all layers" grep -qE "recomputed +[1-6] of 7 layers" "$out"
measure "budget" --memory "$budget"
same() { cmp -s run-selective/model.safetensors run-budget/model.safetensors; }
check "a budget changes no bit" same
check "the run took $(tail -n 1 "$work/kib") KiB of $((budget / 1024))" \
    test "$(tail -n 1 "$work/kib")" -le $((budget / 1024))
refuses "a budget that is too small" 1 "the run takes" pretrain "${options[@]/run-budget/run-small}" \
    --memory $((least / 2))
finish
