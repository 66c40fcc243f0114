#!/bin/bash
# What data build drops, takes apart and records, and what data show says of it.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"

needs "data synth" data synth --bytes 300K --words builtin --out corpus.jsonl
needs "tokenizer train" tokenizer train --vocab-size 600 \
    --special "<|fim_begin|>,<|fim_hole|>,<|fim_end|>" --out tok corpus.jsonl
build=(data build --tokenizer tok)

# ---- dropping ----
head -n 100 corpus.jsonl >again.jsonl
sed 's/\. /. Yes. /' <(head -n 40 corpus.jsonl | grep -E '.{600}') >nearly.jsonl
printf 'not JSON\n{"text": "one two"}\n{"other": 1}\n' >bad.jsonl
refuses "a malformed line" 1 'bad.jsonl, line 1: not valid JSON' "${build[@]}" --out never bad.jsonl corpus.jsonl
works "cleaning" "${build[@]}" --dedup near --filter "words=5:" --malformed skip --out clean \
    corpus.jsonl again.jsonl nearly.jsonl bad.jsonl
check "it says what was dropped" says "$err" \
    '^clean: dropped 2 malformed, [0-9]+ filtered, [0-9]+ duplicate, [0-9]+ near-duplicate: clean/dropped.jsonl$'
check "and by which rule" says "$err" '^clean: filtered [0-9]+ by words$'
check "the list has a line for each" test "$(wc -l <clean/dropped.jsonl)" -eq \
    "$(sed -nE 's/^clean: dropped //p' "$err" | tr -c '0-9\n' ' ' | awk '{ print $1 + $2 + $3 + $4 }')"
check "with the reason" says clean/dropped.jsonl \
    '^\{"file": "bad.jsonl", "line": 2, "why": "filtered", "measure": "words", "value": 2\}$'
check "a duplicate names the first" says clean/dropped.jsonl \
    '^\{"file": "again.jsonl", "line": 7, "why": "(near-)?duplicate", "of": \{"file": "corpus.jsonl", "line": [0-9]+\}\}$'
check "a changed document is a near duplicate" says clean/dropped.jsonl \
    '^\{"file": "nearly.jsonl", .*"near-duplicate"'

works "decontamination" "${build[@]}" --decontaminate again.jsonl --out decontaminated corpus.jsonl
check "all that stand in the file are dropped" test \
    "$(grep -cE '"line": [0-9]{1,2}, "why": "contaminated", "by": "again.jsonl"' decontaminated/dropped.jsonl)" -eq 99
refuses "no file to decontaminate by" 1 'nowhere' "${build[@]}" --decontaminate nowhere --out never corpus.jsonl
refuses "an unknown measure" 2 'filter: there is no "beauty"' "${build[@]}" --filter beauty=1: --out never corpus.jsonl
refuses "a rule that descends" 2 'LEAST:MOST' "${build[@]}" --filter words=9:1 --out never corpus.jsonl
refuses "too many bands" 2 'bands times rows at most' "${build[@]}" --dedup near --dedup-bands 1000 --out never corpus.jsonl
refuses "too little memory" 1 'deduplication takes .* more than the 0 MiB' \
    "${build[@]}" --dedup exact --dedup-memory 1K --out never corpus.jsonl
printf '{"text": "some text of words"}\n{"text": "caf\377 au lait"}\n' >latin.jsonl
refuses "JSON that is not UTF-8" 1 'latin.jsonl, line 2: not valid JSON' "${build[@]}" --out never latin.jsonl
works "replacing bytes" "${build[@]}" --utf8 replace --out mended latin.jsonl
check "it says so" says "$err" 'bytes that were not UTF-8 replaced in 1 documents'
works "dropping documents" "${build[@]}" --utf8 drop --heldout 0 --out whole latin.jsonl
check "it says that too" says "$err" 'dropped 1 not-utf8'

# ---- taking apart ----
works "fill in the middle" "${build[@]}" --fim both --split-tokens 0.2 --out middle corpus.jsonl
check "it says how many" says "$err" 'taken apart to fill in the middle: [0-9]+ as PSM, [0-9]+ as SPM'
needs "a tokenizer without the tokens" tokenizer train --vocab-size 600 --out plain corpus.jsonl
refuses "fill in the middle without tokens for it" 1 'no tokens for filling in the middle' \
    data build --tokenizer plain --fim psm --out never corpus.jsonl

# ---- data show ----
works "data show" data show clean
check "it counts inputs" says "$out" '^corpus.jsonl +[0-9]+ +[0-9]+ +[0-9.]+% '
check "and what they lost" says "$out" '^bad.jsonl +0 .* 2 malformed, 1 filtered$'
check "and lengths" says "$out" '^ +64 and more +[0-9]+ '
works "where a token came from" data show middle --token 300
check "it is the place" says "$out" \
    '^token 300 has id [0-9]+; it is token [0-9]+ of [0-9]+ in document [0-9]+, from corpus.jsonl, line [0-9]+'
works "a sample" data show clean --sample 3 --tokenizer tok
check "it has each document's origin" test "$(grep -cE '^document [0-9]+, from corpus.jsonl, line [0-9]+$' "$out")" -eq 3
works "a document" data show clean --document 0 --tokenizer tok
check "its origin is said beside it" says "$err" '^document 0: from corpus.jsonl, line 1$'
refuses "a token beyond the split" 2 'token 99999999: the split has' data show clean --token 99999999
refuses "a sample without a tokenizer" 2 'needs --tokenizer' data show clean --sample 1

# ---- going on ----
# Small documents: batches have 4,096 of them at most, and there are checkpoints between them.
needs "many documents" data synth --mix "sums=1 compare=1" --words builtin --bytes 5M --out many.jsonl
head -n 9000 many.jsonl >first.jsonl
tail -n +9001 many.jsonl | gzip >second.jsonl.gz
options=(--tokenizer tok --dedup near --fim both --split-tokens 0.1 --malformed skip --shard-tokens 60K)
needs "the undisturbed building" data build "${options[@]}" --out whole-many first.jsonl bad.jsonl second.jsonl.gz
check "nothing of its workplace stays" test ! -e whole-many.building
kills=$((${FATHOM_TEST_KILLS:-10} / 2))
resumed=0
for ((i = 0; i < kills; i++)); do
    rm -rf cut-many cut-many.building
    "$FATHOM" data build "${options[@]}" --out cut-many first.jsonl bad.jsonl second.jsonl.gz >"$out" 2>"$err" &
    child=$!
    # Somewhere between the first checkpoint and the end.
    wait_for test -e cut-many.building/state.json -o -e cut-many
    sleep "0.0$((i * 7 % 100 / 10))$((i * 7 % 10))"
    kill -KILL "$child" 2>/dev/null
    wait "$child" 2>/dev/null
    [ -e cut-many ] && continue # it was done before
    resumed=$((resumed + 1))
    if [ $((i % 3)) -eq 0 ]; then
        refuses "another building where one is unfinished" 1 '--resume goes on with it' \
            data build "${options[@]}" --out cut-many first.jsonl
        refuses "other options" 2 'resuming would change the run: dedup' \
            data build --resume --dedup none --out cut-many
        refuses "files with --resume" 2 'takes no files' data build --resume --out cut-many first.jsonl
    fi
    works "going on" data build --resume --threads $((i % 3)) --out cut-many
    check "it ends with the same bits" diff -r whole-many cut-many
    check "its workplace is gone" test ! -e cut-many.building
done
check "some were killed in the middle" test "$resumed" -ge $((kills / 2))
start data build "${options[@]}" --threads 1 --out stopped first.jsonl bad.jsonl second.jsonl.gz
wait_for test -e stopped.building/state.json -o -e stopped
interrupt
if [ ! -e stopped ]; then
    check "an interrupted building exits 1" test "$status" -eq 1
    check "it says how to go on" says "$err" '^stopped.building has what is done; go on with: fathom data build --resume --out stopped$'
    touch first.jsonl
    refuses "inputs that changed" 1 'first.jsonl: changed since the building began' data build --resume --out stopped
    sed -i 's/"version": 1/"version": 9/' stopped.building/state.json
    refuses "a state of another version" 1 'version 9 of the format is not known' data build --resume --out stopped
    works "beginning anew" data build "${options[@]}" --force --out stopped first.jsonl bad.jsonl second.jsonl.gz
    check "it is the same" diff -r whole-many stopped
fi
refuses "nothing to go on with" 1 'nothing to go on with' data build --resume --out never

rm clean/*-origins.bin clean/build.json
works "a dataset from before origins" data show clean --token 5
check "it says that it has none" says "$out" 'its origin is not recorded$'
printf 'x' >>middle/train-origins.bin
refuses "damaged origins" 1 'train-origins.bin: has [0-9]+ bytes' data show middle
finish
