#!/bin/bash
# SIGINT in the middle of work: training is saved and goes on to the same bits; nothing else leaves
# a half-written file.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
make_model

# ---- pretrain ----
options=(--model init --data shards --sequence-length 64 --batch 4 --micro-batch 2 --steps 120
    --warmup 5 --heldout-every 40 --save-every 0)
needs "pretrain without interruption" pretrain "${options[@]}" --out whole

has_lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }
start pretrain "${options[@]}" --out "a cut" </dev/null
wait_for has_lines "a cut/metrics.jsonl" 5
second=0
"$FATHOM" pretrain "${options[@]}" --out "a cut" 2>"$err.second" || second=$?
check "a second run in the same directory is refused" test "$second" -eq 1
check "it says why" says "$err.second" '^fathom: a cut: another process is writing there$'
interrupt
check "an interrupted pretrain exits 0" test "$status" -eq 0
check "it stops before the last step" test "$(wc -l <"a cut/metrics.jsonl")" -lt 120
line=$(sed -nE 's/^.*saved at step [0-9]+; continue with: (fathom pretrain .*)$/\1/p' "$err")
check "it prints the line to resume" test -n "$line"
check "the model so far is not the last one" differs whole/model.safetensors "a cut/model.safetensors"
eval "\"$FATHOM\" ${line#fathom }" >"$out" 2>"$err"
check "that line finishes the run" test $? -eq 0
check "the model is the uninterrupted one's, bit for bit" \
    cmp -s whole/model.safetensors "a cut/model.safetensors"
check "metrics have every step once" test "$(grep -o '"step": [0-9]*' "a cut/metrics.jsonl" |
    sort -u | wc -l)/$(wc -l <"a cut/metrics.jsonl")" = 120/120
losses() { grep -o '"loss": [^,]*' "$1"; }
check "the losses are the uninterrupted one's" \
    test "$(losses whole/metrics.jsonl)" = "$(losses "a cut/metrics.jsonl")"

# ---- what has nothing to save: status 1, no file ----
nothing_left() { # NAME
    check "an interrupted $1 exits 1" test "$status" -eq 1
    check "an interrupted $1 says so" says "$err" '^fathom: .*(interrupted|nothing was written)'
    check "an interrupted $1 leaves nothing" test "$before" = "$(listing)"
}
endlessly() { while cat corpus.jsonl 2>/dev/null; do :; done; }

# Nothing ever comes on this pipe, so the first signal alone ends nothing.
mkfifo pipe
exec 3<>pipe
start tokenizer train --vocab-size 512 --out never - <&3
kill -INT "$child"
wait_for eval '! catches_interrupt "$child"'
kill -TERM "$child"
status=0
wait "$child" || status=$?
check "SIGTERM after SIGINT ends at once" test "$status" -eq 143
exec 3<&-

before=$(listing)
start data synth --bytes 100G --words builtin --out endless.jsonl </dev/null
wait_for eval 'compgen -G "endless.jsonl.tmp-*" >/dev/null'
interrupt
nothing_left "data synth"

start tokenizer train --vocab-size 512 --out cut-tokenizer - < <(endlessly)
interrupt
nothing_left "tokenizer train"

start data build --tokenizer tok --out cut-shards - < <(endlessly)
wait_for eval 'compgen -G "cut-shards.tmp-*" >/dev/null'
interrupt
nothing_left "data build"

start generate --model init --prompt a --max-tokens 4000 --ignore-eos </dev/null
wait_for test -s "$out"
interrupt
check "an interrupted generate exits 0" test "$status" -eq 0
finish
