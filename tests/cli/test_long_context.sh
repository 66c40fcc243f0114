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
needle=(eval --task needle --model init --lengths "400,800" --depths "0,100" --trials 2)
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

# ---- extend ----
needs "shards of long documents" data build --tokenizer tok --heldout 0.05 --out long long.jsonl
needs "pretrain" pretrain --model init --data shards --out run --sequence-length 64 --batch 4 \
    --micro-batch 2 --steps 3 --heldout-every 0
extend=(extend --model run --data long --lengths "128,256" --steps "60,30" --batch 4
    --heldout-every 0)
works "a dry run" "${extend[@]}" --out whole --dry-run
check "it plans both phases" says "$out" '^phase 2 of 2: 256 tokens in a sequence, YaRN factor 4'
check "it writes nothing" test ! -e whole
needs "extend" "${extend[@]}" --out whole
check "the model has YaRN" says whole/config.json '"rope_type": "yarn"'
check "from the length that its run recorded" \
    says whole/config.json '"original_max_position_embeddings": 64'
check "and the last length" says whole/config.json '"max_position_embeddings": 256'
works "the extended model is asked" eval --task needle --model whole --lengths 256 --trials 1
has_lines() { [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; }
start "${extend[@]}" --out "a cut" </dev/null
wait_for has_lines "a cut/phase-1-128/metrics.jsonl" 3
interrupt
check "an interrupted extend exits 0" test "$status" -eq 0
line=$(sed -nE 's/^saved in phase 1 of 2; continue with: (fathom extend .*)$/\1/p' "$err")
check "it prints the line to resume" test -n "$line"
check "the model is not there yet" test ! -e "a cut/config.json"
start extend --resume --out "a cut" </dev/null
wait_for has_lines "a cut/phase-2-256/metrics.jsonl" 2
interrupt
check "it is interrupted in the second phase" says "$err" '^saved in phase 2 of 2; continue with'
eval "\"$FATHOM\" ${line#fathom }" >"$out" 2>"$err"
check "that line finishes the extension" test $? -eq 0
check "the model is the uninterrupted one's, bit for bit" \
    cmp -s whole/model.safetensors "a cut/model.safetensors"
works "resuming what is done does nothing more" extend --resume --out whole
cat >recipe.ini <<'END'
[phases]
lengths = 128
steps = 2
batch = 2
END
works "a recipe" extend --recipe recipe.ini --model run --data long --out other --set batch=4
check "the command line wins" says other/extend.json '"batch": 4'
refuses "a second extension in the place of one" 1 'already' "${extend[@]}" --out whole
refuses "an extended model" 1 'whole: its context was extended before' \
    extend --model whole --data long --out never --lengths 512
refuses "lengths that do not grow" 2 'every length must exceed the one before' \
    extend --model run --data long --out never --lengths 256,128
refuses "a length below the model's" 2 'begins with 64, but the model was trained with 64' \
    extend --model run --data long --out never --lengths 64
refuses "steps for other phases" 2 '--steps has 3 entries for 2 lengths' \
    extend --model run --data long --out never --lengths 128,256 --steps 1,2,3
refuses "data that are not there" 1 'nowhere' \
    extend --model run --data nowhere --out never --lengths 128
refuses "nothing to resume" 1 'extend.json' extend --resume --out never
refuses "another length on resuming" 2 'resuming would change the run: lengths' \
    extend --resume --out "a cut" --lengths 128,512

finish
