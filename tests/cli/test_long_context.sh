#!/bin/bash
# Long documents, the needle evaluation and context extension.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
make_model

# ---- data synth ----
long=(data synth --words builtin --mix long=1 --long-from 600 --long-to 1200 --seed 3)
needs "long documents" "${long[@]}" --bytes 200K --out long.jsonl
works "again" "${long[@]}" --bytes 200K --out again.jsonl
check "they are the same" cmp -s long.jsonl again.jsonl
check "they ask about facts" says long.jsonl '\? The secret number of the [a-z]+ [a-z]+ is [0-9]+\."\}$'
refuses "a range that descends" 2 'long documents of 2048 to 1024' \
    data synth --mix long=1 --long-from 2K --long-to 1K --bytes 1K --out never.jsonl

# ---- eval --task needle ----
needle=(eval --task needle --model init --lengths 400,800 --depths 0,100 --trials 2)
works "a needle is asked for" "${needle[@]}" --svg map.svg
check "the map has a line per depth" says "$out" '^ *100% .*[0-9]+%'
check "and a column per length" says "$out" '^depth +400 +800'
check "it is a picture too" says map.svg '^<svg '
works "as JSON" "${needle[@]}" --json --others 2
check "with what was asked" says "$out" \
    '^\{"task": "needle", "trials": 2, "lengths": \[400, 800\], "depths": \[0, 100\], "accuracy": \[\[[0-9.]+, [0-9.]+\], \['
refuses "depths beyond the text" 2 '--depths is "0,101"' \
    eval --task needle --model init --depths 0,101
refuses "lengths without numbers" 2 '--lengths is "2K"' eval --task needle --model init --lengths 2K
refuses "a text without room" 2 '64 tokens have no room' \
    eval --task needle --model init --lengths 64
refuses "a text beyond the model's positions" 2 '100000 tokens exceeds the model' \
    eval --task needle --model init --lengths 100000
refuses "perplexity without data" 2 'needs --data' eval --model init
start eval --task needle --model init --lengths 2000 --trials 100000 </dev/null
wait_for says "$err" 'of 500000 questions'
interrupt
check "an interrupted eval exits 1" test "$status" -eq 1
check "it says so" says "$err" '^fathom: stopped after [0-9]+ questions$'

finish
