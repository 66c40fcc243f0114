#!/bin/bash
# Wrong usage, broken files and refused writes: one clear line, the right exit status, and every
# file as it was.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"

# ---- words and options ----
run </dev/null
check "no command exits 2" test "$status" -eq 2
check "no command shows the usage" says "$err" '^usage: fathom'
refuses "an unknown command" 2 'no command "frobnicate".*pretrain' frobnicate
refuses "an unknown subcommand" 2 'no command "bild".*build' data bild
refuses "a missing subcommand" 2 'data needs a command.*build' data
refuses "help of an unknown command" 2 'no command "frobnicate"' help frobnicate
refuses "an unknown option" 2 'no option --stepz; did you mean --steps' pretrain --stepz 3
refuses "an option far from any" 2 'no option --qqqqqqqqq' eval --qqqqqqqqq
refuses "an option without its value" 2 '--model needs a value' eval --model
refuses "a number that is none" 2 '--steps is "ten"' pretrain --steps ten
refuses "a number out of range" 2 '--steps is 0.*must lie in' pretrain --steps 0
refuses "a choice that is none" 2 'train\|heldout|train, heldout|one of' eval --split both
refuses "an argument too many" 2 'takes no argument "extra"' init extra
for command in "tokenizer train:vocab-size" "tokenizer encode:model" "data synth:bytes" \
    "data build:tokenizer" init:config pretrain:model generate:model logits:model eval:model; do
    # shellcheck disable=SC2086
    refuses "${command%:*} without --${command#*:}" 2 "needs --${command#*:}" ${command%:*}
done
refuses "inspect without a path" 2 'needs a PATH' inspect
refuses "data show without a directory" 2 'needs one DIR' data show
refuses "tokenizer train without a file" 2 'needs files' tokenizer train --vocab-size 512 --out t

make_model
train=(tokenizer train --vocab-size 512 --out new)
build=(data build --tokenizer tok --out new)
pretrain=(pretrain --data shards --steps 2 --sequence-length 64 --batch 2 --micro-batch 2)
generate=(generate --prompt a --max-tokens 4 --model)

# ---- files that are not there ----
refuses "a corpus that is not there" 1 'none\.jsonl' "${train[@]}" none.jsonl
refuses "a tokenizer that is not there" 1 'none' data build --tokenizer none --out new corpus.jsonl
refuses "a word list that is not there" 1 'none' data synth --bytes 1K --words none --out new.txt
refuses "a config that is not there" 2 '"none" is neither.*nano' init --config none \
    --tokenizer tok --out new
refuses "a model that is not there" 1 'none' "${generate[@]}" none
refuses "shards that are not there" 1 'none' eval --model init --data none
refuses "a recipe that is not there" 1 'none\.ini' "${pretrain[@]}" --model init --out new \
    --recipe none.ini
refuses "a run that is not there" 1 'none' pretrain --resume --out none
refuses "watch without a run" 2 'needs the directory of a run' watch
refuses "watch of nothing" 1 'none/metrics.jsonl' watch --once none
refuses "report without a run" 2 'needs the directory of a run' report
refuses "report of nothing" 1 'none/metrics.jsonl' report none
refuses "inspect of nothing" 1 'none: there is no such file' inspect none

# ---- corpora ----
: >empty.jsonl
head -c 400 corpus.jsonl | head -n 1 >small.jsonl
{ head -n 2 corpus.jsonl && echo '{"text": "no end}'; } >malformed.jsonl
{ head -n 2 corpus.jsonl && echo '{"txet": "x"}'; } >field.jsonl
gzip -c corpus.jsonl >whole.jsonl.gz
head -c "$(($(stat -c %s whole.jsonl.gz) / 2))" whole.jsonl.gz >cut.jsonl.gz
refuses "an empty corpus, tokenizer" 1 'no text' "${train[@]}" empty.jsonl
refuses "an empty corpus, shards" 1 'no text' "${build[@]}" empty.jsonl
refuses "a vocabulary larger than the text supports" 1 'at most [0-9]+, not 60000' \
    tokenizer train --vocab-size 60000 --out new small.jsonl
refuses "a vocabulary smaller than the bytes" 2 'must lie in' \
    tokenizer train --vocab-size 100 --out new corpus.jsonl
for stage in train build; do
    declare -n words=$stage
    refuses "malformed JSONL, $stage" 1 'malformed\.jsonl, line 3' "${words[@]}" malformed.jsonl
    refuses "JSONL without the field, $stage" 1 'field\.jsonl, line 3' "${words[@]}" field.jsonl
    refuses "truncated gzip, $stage" 1 'cut\.jsonl\.gz' "${words[@]}" cut.jsonl.gz
done
works "whole gzip" "${build[@]}" whole.jsonl.gz && rm -r new

# ---- what exists is not overwritten ----
cp -r init finished
needs "a finished run" "${pretrain[@]}" --model init --out run
refuses "synth onto a file" 1 'exists already' data synth --bytes 1K --out corpus.jsonl
refuses "tokenizer train onto a directory" 1 'exists already' \
    tokenizer train --vocab-size 512 --out tok corpus.jsonl
refuses "data build onto a directory" 1 'exists already' \
    data build --tokenizer tok --out shards corpus.jsonl
refuses "init onto a directory" 1 'exists already' init --config nano --tokenizer tok --out init
refuses "pretrain onto a finished run" 1 'a model or run already.*--resume' \
    "${pretrain[@]}" --model init --out run
refuses "pretrain onto a model" 1 'a model or run already' "${pretrain[@]}" --model init \
    --out finished
refuses "resuming with other options" 2 'would change the run.*learning-rate' \
    pretrain --resume --out run --learning-rate 0.5
before=$(listing)
works "planning a resumed run" pretrain --resume --out run --dry-run
check "planning a resumed run prints the plan" says "$out" '^peak memory'
check "planning a resumed run changes nothing" test "$before" = "$(listing)"
refuses "a micro-batch that does not divide" 2 'does not divide' "${pretrain[@]}" --model init \
    --out new --batch 4 --micro-batch 3
refuses "ranks that cannot share a batch" 2 'ranks 3 cannot share' "${pretrain[@]}" --model init \
    --out new --batch 4 --ranks 3
refuses "ranks that form no pipelines" 2 'ranks 3 cannot form pipelines' "${pretrain[@]}" --model init \
    --out new --batch 4 --ranks 3 --pipeline-stages 2
refuses "more stages than layers" 2 'needs as many layers' "${pretrain[@]}" --model init \
    --out new --batch 4 --ranks 32 --pipeline-stages 32
refuses "ranks without data" 1 'missing' "${pretrain[@]}" --model init --out new --batch 4 --ranks 2 \
    --data missing
refuses "a ramp that goes down" 2 'a ramp goes up' "${pretrain[@]}" --model init --out new \
    --batch-from 4 --ramp-tokens 1K
refuses "a ramp without a length" 2 'a ramp goes up' "${pretrain[@]}" --model init --out new --batch-from 1
refuses "a list of batches that is none" 2 '"x" is neither a number' "${pretrain[@]}" --model init --out new \
    --skip-batches 1,x

# ---- configs and vocabularies ----
tokenizer600=(tokenizer train --vocab-size 600 --out tok600 corpus.jsonl)
needs "a larger tokenizer" "${tokenizer600[@]}"
needs "shards of a larger vocabulary" data build --tokenizer tok600 --out shards600 corpus.jsonl
refuses "a config with fewer tokens than the tokenizer" 1 'vocab_size 512 .*smaller than the 600' \
    init --config nano --tokenizer tok600 --out new
refuses "training on shards of a larger vocabulary" 1 'vocabulary of 600.*512' \
    "${pretrain[@]}" --model init --data shards600 --out new
refuses "planning with shards of a larger vocabulary" 1 'vocabulary of 600.*512' \
    "${pretrain[@]}" --model init --data shards600 --out new --dry-run
refuses "measuring on shards of a larger vocabulary" 1 '600' \
    eval --model init --data shards600 --sequence-length 64
refuses "showing a document with another tokenizer" 1 'tokenizer' \
    data show shards600 --document 0 --tokenizer tok
refuses "a document that is not there" 2 'document 99999999' \
    data show shards --document 99999999 --tokenizer tok
sed 's/"n_group": 2/"n_group": 3/' init/config.json >groups.json
refuses "n_group that does not divide the experts" 1 'n_group 3 does not divide.*8' \
    init --config groups.json --tokenizer tok --out new
sed 's/"hidden_size": 64/"hidden_size": -64/' init/config.json >negative.json
refuses "a negative size" 1 'hidden_size' init --config negative.json --tokenizer tok --out new
echo '{"model_type": ' >half.json
refuses "a config that is half there" 1 'half\.json' init --config half.json --tokenizer tok \
    --out new

# ---- broken models ----
broken() { # FILE BYTES: a copy of the model with that file cut
    rm -rf broken
    cp -r init broken
    truncate -s "$2" "broken/$1"
}
broken model.safetensors 100000
refuses "truncated weights" 1 'model\.safetensors' "${generate[@]}" broken
refuses "truncated weights, pretrain" 1 'model\.safetensors' "${pretrain[@]}" --model broken \
    --out new
broken model.safetensors 5
refuses "five bytes of weights" 1 'model\.safetensors' eval --model broken --data shards
broken tokenizer.json 1000
refuses "a truncated tokenizer" 1 'tokenizer\.json' "${generate[@]}" broken
refuses "a truncated tokenizer, encode" 1 'tokenizer\.json' tokenizer encode --model broken \
    text.txt
broken config.json 100
refuses "a truncated config" 1 'config\.json' "${generate[@]}" broken
rm -rf broken
refuses "tokens outside the vocabulary" 1 '512' logits --model init --tokens 1,512 --out new
refuses "tokens that are none" 2 '"x" is not a token id' logits --model init --tokens 1,x --out new
refuses "ids to decode that are none" 1 '"x" is not a token id' tokenizer decode --model init x
refuses "more tokens than positions" 2 'exceed the model.s 4096 positions' \
    generate --model init --prompt "Once upon a time" --max-tokens 4096

# ---- broken shards ----
cp -r shards bad-shards
shard=$(find bad-shards -type f ! -name meta.json -name '*train*' | sort | head -n 1)
size=$(stat -c %s "$shard")
printf '\377' | dd of="$shard" bs=1 seek=$((size / 2)) conv=notrunc status=none
cmp -s "$shard" "shards/${shard#*/}" && printf '\376' |
    dd of="$shard" bs=1 seek=$((size / 2)) conv=notrunc status=none
run data show bad-shards --verify </dev/null
check "a corrupt byte of a shard exits 1" test "$status" -eq 1
check "a corrupt byte of a shard is named" says "$err" "^fathom: .*$(basename "$shard")"
run inspect --check bad-shards </dev/null
check "inspect --check finds the corrupt byte" test "$status" -eq 1
truncate -s $((size / 2)) "$shard"
refuses "a truncated shard" 1 "$(basename "$shard")" "${pretrain[@]}" --model init \
    --data bad-shards --out new

# ---- places that cannot be written ----
for place in corpus.jsonl/new /proc/new; do
    refuses "tokenizer train to $place" 1 "${place%/new}" tokenizer train --vocab-size 512 --out "$place" \
        corpus.jsonl
    refuses "data build to $place" 1 "${place%/new}" data build --tokenizer tok --out "$place" corpus.jsonl
    refuses "init to $place" 1 "${place%/new}" init --config nano --tokenizer tok --out "$place"
    refuses "pretrain to $place" 1 "${place%/new}" "${pretrain[@]}" --model init --out "$place"
    refuses "logits to $place" 1 "${place%/new}" logits --model init --tokens 1 --out "$place"
    refuses "synth to $place.txt" 1 "${place%/new}" data synth --bytes 1K --out "$place.txt"
done

# ---- a file that may not grow any further stands in for a full disk ----
limited() { # STATUS-AND-LINE as refuses, with files of 64 KiB at most
    ulimit -S -f 64
    refuses "$@"
    ulimit -S -f unlimited
}
limited "synth onto a full disk" 1 'new\.txt' data synth --bytes 300K --words builtin --out new.txt
limited "data build onto a full disk" 1 'new' "${build[@]}" corpus.jsonl corpus.jsonl
limited "init onto a full disk" 1 'new' init --config nano --tokenizer tok --out new
limited "logits onto a full disk" 1 'new' logits --model init --out new \
    --tokens "$(seq -s , 1 100)"
ulimit -S -f 64
run "${pretrain[@]}" --model init --out new </dev/null
ulimit -S -f unlimited
check "pretrain onto a full disk exits 1" test "$status" -eq 1
check "pretrain onto a full disk says so" says "$err" '^fathom: .*new'
check "pretrain onto a full disk leaves no half checkpoint" \
    test -z "$(find new -name 'step-*' -o -name '*.tmp-*' -o -name '*.safetensors')"

# On the way a full disk costs a checkpoint, not the run.
ulimit -S -f 64
start "${pretrain[@]}" --model init --out room --steps 150 --save-every 10 </dev/null
ulimit -S -f unlimited
wait_for says "$err" '^not saved: .*; training goes on, the next try is after step'
prlimit --pid "$child" --fsize=unlimited:
status=0
wait "$child" || status=$?
check "a run that could not save goes on" test "$status" -eq 0
check "it has its model in the end" test -s room/model.safetensors
check "it has every line of its metrics" test "$(wc -l <room/metrics.jsonl)" -eq 150
check "it has its last checkpoint whole" "$FATHOM" inspect --check room/step-00000150 >/dev/null
finish
