#!/usr/bin/env bash
# quickstart.sh [--ci]: text -> tokenizer -> shards -> model -> sentences, in ./quickstart.
#
# Every stage is skipped when its result is there, and training resumes where it was interrupted, so
# the script may be stopped and started at will. --ci does the same small, in ./quickstart-ci, from
# nothing, and checks that each stage gave what it should.
set -euo pipefail
cd "$(dirname "$0")/.."
fathom=${FATHOM:-build/release/fathom}
work=quickstart bytes=16M recipe=recipes/quickstart.ini extra=()
is_ci=no
if [ "${1:-}" = --ci ]; then
    is_ci=yes work=quickstart-ci bytes=2M
    extra=(--steps 12 --batch 8 --micro-batch 4 --warmup 4 --heldout-every 6)
    rm -rf "$work"
fi
mkdir -p "$work"

say() { printf '\n== %s\n' "$*"; }
run() {
    printf '$ fathom %s\n' "$*"
    "$fathom" "$@"
}

say "1/6 a corpus of stories, spelling, counting and sums ($bytes)"
[ -e "$work/corpus.jsonl" ] || run data synth --bytes "$bytes" --out "$work/corpus.jsonl"
say "2/6 a tokenizer of 4,096 tokens"
[ -e "$work/tokenizer" ] ||
    run tokenizer train --vocab-size 4096 --out "$work/tokenizer" "$work/corpus.jsonl"
say "3/6 token shards, 1% of the documents held out"
[ -e "$work/shards" ] ||
    run data build --tokenizer "$work/tokenizer" --out "$work/shards" "$work/corpus.jsonl"
say "4/6 a DeepSeek-V3-architecture model with random weights"
[ -e "$work/init" ] ||
    run init --config quickstart --tokenizer "$work/tokenizer" --init-std 0.02 --out "$work/init"

say "5/6 training (Ctrl-C saves; the same command goes on)"
steps=$(ls -d "$work"/run/step-???????? 2>/dev/null || true)
if [ -n "$steps" ]; then
    run pretrain --resume --out "$work/run"
else
    run pretrain --recipe "$recipe" --model "$work/init" --data "$work/shards" --out "$work/run" \
        "${extra[@]}"
fi
# An interrupt ends pretrain with success, its work saved; the rest needs the finished model.
last=$(tail -n 1 "$work/run/metrics.jsonl")
wanted=$("$fathom" pretrain --recipe "$recipe" --model "$work/init" --data "$work/shards" \
    --out "$work/run" "${extra[@]}" --dry-run | grep -o '"steps": [0-9]*' | grep -o '[0-9]*')
if ! grep -q "\"step\": $wanted," <<<"$last"; then
    echo "stopped before the last step; run the same command to go on"
    exit 0
fi

say "6/6 what it has learned"
run eval --model "$work/run" --data "$work/shards" --windows 200
for prompt in "Once upon a time" "User: How many letters r are in the word \"cherry\"?
Assistant:" "The word \"garden\" is spelled"; do
    printf '\n'
    run generate --model "$work/run" --prompt "$prompt" --max-tokens 80 --temperature 0.6
done
echo
echo "loss curve: $work/run/loss.svg; the model: $work/run (a Hugging Face directory)"

[ "$is_ci" = yes ] || exit 0
# The small run must have learned something and left everything in place.
passed=0 failed=0
check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAILED  quickstart-ci: $what"
    fi
}
first=$(head -n 1 "$work/run/metrics.jsonl" | grep -o '"loss": [0-9.]*' | grep -o '[0-9.]*')
final=$(grep -o '"loss": [0-9.]*' <<<"$last" | grep -o '[0-9.]*')
check "the loss fell from $first to $final, by less than 0.5" \
    awk -v a="$first" -v b="$final" 'BEGIN { exit !(a - b > 0.5) }'
for file in config.json tokenizer.json tokenizer_config.json generation_config.json \
    model.safetensors loss.svg metrics.jsonl; do
    check "$work/run/$file is missing" test -s "$work/run/$file"
done
check "the checkpoint does not verify" "$fathom" inspect --check "$work/run/step-00000012"
check "the dataset does not verify" "$fathom" inspect --check "$work/shards"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
