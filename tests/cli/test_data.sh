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
rm clean/*-origins.bin clean/build.json
works "a dataset from before origins" data show clean --token 5
check "it says that it has none" says "$out" 'its origin is not recorded$'
printf 'x' >>middle/train-origins.bin
refuses "damaged origins" 1 'train-origins.bin: has [0-9]+ bytes' data show middle
finish
