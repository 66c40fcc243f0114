#!/bin/bash
# run.sh [ROUNDS]: training steps of quickstart and small in fathom and in transformers on PyTorch, in
# turn, both in float32 without MTP and with the same batches; prints each round and the ratio of the
# medians. PYTHON names a Python with tools/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
fathom=${FATHOM:-build/release/fathom} python=${PYTHON:-python3} rounds=${1:-3}

middle() { sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

compare() { # CONFIG SEQUENCES LENGTH
    local ours=() theirs=() experts=() line
    for ((i = 0; i < rounds; i++)); do
        line=$("$fathom" bench train --config "$1" --mtp 0 --batch "$2" --micro-batch "$2" \
            --sequence-length "$3" --steps 5 --json)
        ours+=("$(grep -oE '"tokens_per_second": [0-9.]+' <<<"$line" | grep -oE '[0-9.]+$')")
        line=$("$python" bench/peers/transformers_step.py "configs/$1.json" --sequences "$2" \
            --length "$3" "${experts[@]}" | tail -n 1)
        theirs+=("$(grep -oE '[0-9.]+ tokens/s' <<<"$line" | grep -oE '[0-9.]+')")
        # The slower ways were measured in the first round.
        experts=(--experts "$(grep -oE 'with [a-z_]+' <<<"$line" | cut -d' ' -f2)")
        printf '%s %s x %s: fathom %s tokens/s, %s\n' "$1" "$2" "$3" "${ours[i]}" "${line#best: }"
    done
    awk -v a="$(printf '%s\n' "${ours[@]}" | middle)" -v b="$(printf '%s\n' "${theirs[@]}" | middle)" \
        -v name="$1" 'BEGIN { printf "%s: %.0f against %.0f tokens/s, ratio %.2f\n", name, a, b, a / b }'
}

compare quickstart 8 256
compare small 4 512
