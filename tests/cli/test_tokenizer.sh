#!/bin/bash
# Training options of tokenizers, showing tokens and comparing two.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"

needs "data synth" data synth --bytes 300K --words builtin --out corpus.jsonl
tail -n 50 corpus.jsonl >last.jsonl
train=(tokenizer train --vocab-size 600)
needs "tokenizer train" "${train[@]}" --out tok corpus.jsonl

# ---- train ----
works "reserved tokens" "${train[@]}" --special "<a>,<b>" --reserved 3 --multiple-of 64 \
    --held-out last.jsonl --out more corpus.jsonl
check "the vocabulary is a multiple" says "$err" '^more: 640 tokens from '
check "it says how well a text is compressed" says "$err" \
    '^last.jsonl: [1-9]\.[0-9]{3} bytes per token \([0-9]+ bytes, [0-9]+ tokens\)$'
check "tokens are reserved" says more/tokenizer.json 'place▁holder▁no▁42｜>'
check "as many as were asked for and fill up" test "$(grep -o '"content": "<｜place▁holder▁no▁[0-9]*｜>"' more/tokenizer.json | wc -l)" -eq 43
refuses "more reserved tokens than ids" 2 'a vocabulary of 600 is not in' "${train[@]}" --reserved 500 --out never corpus.jsonl
refuses "a held-out text that is not there" 1 'nowhere: is not there' "${train[@]}" --held-out nowhere --out never corpus.jsonl

# ---- show ----
printf 'The cat,\n\303\251\377 <think>' >text.txt
works "tokenizer show" tokenizer show --model tok text.txt
check "bars stand between tokens" says "$out" '^\|The( cat|\| c).*\\n\|.*\\xff\|'
check "and the counts below" says "$out" '^[0-9]+ tokens, 20 bytes, [0-9.]+ bytes per token$'
works "tokenizer show --list" tokenizer show --model tok --list --parse-special text.txt
check "a line has id and bytes" says "$out" '^ +[0-9]+ +0 +3  The$'
check "special tokens are told" says "$out" '^ +59[0-9] +13 +20  <think>'
check "bytes follow one another" awk '$2 != at { exit 1 } { at = $3 }' "$out"
works "tokenizer show --color always" tokenizer show --model tok --color always text.txt
check "the text is there as it is" cmp -s <(sed $'s/\033\\[[0-9;]*m//g' "$out" | head -n 2) <(cat text.txt; echo)
run tokenizer show --model tok <text.txt
check "standard input is read" says "$out" ' tokens, 20 bytes'

# ---- compare ----
works "tokenizer compare" tokenizer compare tok more last.jsonl
check "both are counted" test "$(grep -cE '^[AB]  (tok|more): [0-9]+ ids, [0-9]+ tokens, [0-9.]+ bytes per token' "$out")" -eq 2
check "pieces are shown" says "$out" '^ +[0-9]+  "[^|]*"(\|"[^|]*")*  "[^|]*"'
works "a tokenizer with itself" tokenizer compare tok tok corpus.jsonl
check "it cuts all documents alike" says "$out" '^B needs 1.0000 of .* ([0-9]+) of \1 documents are cut alike; 0 different pieces'
refuses "one tokenizer" 2 'needs two tokenizers and files' tokenizer compare tok last.jsonl

# ---- encode ----
works "encode without special tokens" tokenizer encode --model tok text.txt
cp "$out" plain.ids
works "encode --add-special" tokenizer encode --model tok --add-special text.txt
check "a tokenizer that adds nothing adds nothing" cmp -s plain.ids "$out"
sed 's/"post_processor": .*/"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [], "special_tokens": {"x": {"id": "x", "ids": [0], "tokens": ["x"]}}},/' \
    tok/tokenizer.json >adds.json
mkdir adds && mv adds.json adds/tokenizer.json
works "encode with a template" tokenizer encode --model adds --add-special text.txt
check "its token comes first" cmp -s <(echo "0 $(cat plain.ids)") "$out"
finish
