#!/bin/bash
# From nothing to text with every command that lies on the way.
# shellcheck source-path=SCRIPTDIR source=lib.bash
. "$(dirname "$0")/lib.bash"
make_model

small=(--sequence-length 64 --batch 4 --micro-batch 2 --warmup 2 --heldout-every 5)

# ---- pretrain ----
before=$(listing)
works "pretrain --dry-run" pretrain --model init --data shards --out run "${small[@]}" --steps 10 \
    --dry-run
check "dry run tells the parameters" says "$out" '^parameters .*active per token'
check "dry run tells the memory" says "$out" '^peak memory .*\([0-9]+ bytes\)'
check "dry run tells the FLOPs" says "$out" '^compute .*FLOP per token'
check "dry run creates nothing" test "$before" = "$(listing)"

needs "pretrain" pretrain --model init --data shards --out run "${small[@]}" --steps 10
for file in config.json tokenizer.json tokenizer_config.json generation_config.json \
    model.safetensors metrics.jsonl loss.svg step-00000010/state/state.json; do
    check "pretrain leaves $file" test -s "run/$file"
done
check "metrics has a line per step" test "$(wc -l <run/metrics.jsonl)" -eq 10
check "no temporary file is left" test -z "$(find . -name '*.tmp-*')"

works "pretrain --ranks" pretrain --model init --data shards --out ranks "${small[@]}" --steps 4 \
    --ranks 2 --threads 2
check "rank 0 tells of every step" test "$(wc -l <ranks/metrics.jsonl)" -eq 4
works "pretrain --pipeline-stages" pretrain --model init --data shards --out piped "${small[@]}" \
    --steps 4 --ranks 2 --pipeline-stages 2 --threads 2
check "the first stage tells of every step" test "$(wc -l <piped/metrics.jsonl)" -eq 4
works "pretrain --pipeline-stages --dry-run" pretrain --model init --data shards --out planned \
    "${small[@]}" --ranks 2 --pipeline-stages 2 --dry-run
check "dry run tells the stages" says "$out" '^pipeline  *layers 0.*; 2 micro-batches in a step'

works "data build for a mixture" data build --tokenizer tok --heldout 0.1 --out more corpus.jsonl
works "pretrain on a mixture, with samples" pretrain --model init --data mix:shards=3,more=1 \
    --out mixed "${small[@]}" --steps 10 --sample-prompt "Once upon" --sample-tokens 8
check "a text is drawn at each measurement" test "$(grep -c '"sample": "Once upon' mixed/metrics.jsonl)" -eq 2
check "metrics tell the sources" says mixed/metrics.jsonl '"sources": \[\{"data": "shards", "tokens": [0-9]'
works "report with samples" report --out - mixed
check "the page has them" says "$out" '<td class="sample">Once upon'
works "resuming with samples" pretrain --resume --out mixed
refuses "a mixture without weights" 2 'is not DIR=WEIGHT' pretrain --model init --data mix:shards,more --out x

# ---- eval ----
works "eval" eval --model run --data shards --windows 4 --sequence-length 64
check "eval prints bits per byte" says "$out" '^[0-9]+ tokens: [0-9.]+ nats per token .*bits per byte'
works "eval --json" eval --model run --data shards --windows 4 --sequence-length 64 --json
cp "$out" eval.json

# ---- generate ----
prompt=(--model run --prompt "Once upon a time" --max-tokens 24)
works "generate" generate "${prompt[@]}" --seed 7 --ignore-eos
cp "$out" first.txt
works "generate again" generate "${prompt[@]}" --seed 7 --ignore-eos
check "one seed gives one text" cmp -s first.txt "$out"
works "generate with another seed" generate "${prompt[@]}" --seed 8 --ignore-eos
check "another seed gives another text" differs first.txt "$out"
works "generate with one thread" generate "${prompt[@]}" --seed 7 --ignore-eos --threads 1
check "threads do not change the text" cmp -s first.txt "$out"
works "generate --json" generate "${prompt[@]}" --samples 2 --json
cp "$out" generate.json
run generate --model run --max-tokens 4 <<<"Once upon a time"
check "the prompt comes from standard input" test "$status" -eq 0

# ---- logits, inspect, data show ----
works "logits" logits --model run --tokens 1,2,3 --out logits.safetensors
works "inspect --tensors" inspect --tensors logits.safetensors
check "logits holds [T, V]" says "$out" '\[3, 512\] +logits$'
check "logits holds the last hidden state" says "$out" '\[3, 64\] +hidden\.3$'
works "inspect --check, a model" inspect --check run
works "inspect --check, a checkpoint" inspect --check run/step-00000010
check "inspect verifies the training state" says "$out" '^state .*checksums right'
works "inspect --check, shards" inspect --check shards
check "inspect verifies the shards" says "$out" 'train .*checksums right'
works "data show --verify" data show shards --verify --tokenizer tok --document 0
check "data show prints the checksums' verdict" says "$out" 'checksums are right'
works "data show" data show shards
check "data show counts" says "$out" '^train +[1-9]'

# ---- watch, report ----
works "watch" watch run
check "watch shows the last step" says "$out" '^run: step 10/10 '
check "where there is no terminal it draws no more than text" test -z "$(tr -d '[:print:]\n' <"$out" | tr -d '\200-\377')"
works "report" report run
check "report writes into the run" says run/report.html '^<!doctype html>'
works "report to standard output" report --out - run run
check "it is the page" says "$out" '</html>$'
works "report to a file" report --out page.html run
refuses "report over a file" 1 'page.html exists already; --force' report --out page.html run
works "report over a file with --force" report --out page.html --force run

# ---- tokenizer encode and decode ----
printf 'Once upon a time, na\303\257ve 123!\n' >text.txt
works "tokenizer encode" tokenizer encode --model run text.txt
"$FATHOM" tokenizer decode --model run <"$out" >back.txt
check "decode undoes encode" cmp -s text.txt back.txt
run tokenizer encode --model run --jsonl - <<<'{"text": "a b"}'
cp "$out" encode.json
check "encode --jsonl reads standard input" test "$status" -eq 0

# ---- bench ----
nano=(--config nano --batch 2 --micro-batch 2 --sequence-length 16 --steps 1)
works "bench train --profile" bench train "${nano[@]}" --profile
check "the profile has the products" says "$out" '^matmul_grouped TN +[0-9]+ +[0-9.]+ '
check "and what is outside of operations" says "$out" '^outside of operations +[0-9.]+ '
refuses "a profile in JSON" 2 'does not go with --json' bench train "${nano[@]}" --profile --json
works "bench text" bench text --model run --runs 1 --size 20K text.txt corpus.jsonl
check "it times each file" test "$(grep -cE '^[a-z.]+ .* encode +[0-9.]+ MB/s, on [0-9]+ threads .* decode' "$out")" -eq 2
works "bench text --json" bench text --model run --runs 1 --size 20K --json corpus.jsonl
cp "$out" bench.json
check "it uses as much text as asked" says bench.json '"bytes": 20480, '
refuses "bench text of nothing" 2 'bench text needs files of text' bench text --model run
: >nothing.txt
refuses "bench text of an empty file" 1 'nothing.txt: no text' bench text --model run nothing.txt

# ---- JSON ----
parses() { python3 -c 'import json, sys; [json.loads(line) for line in open(sys.argv[1])]' "$1"; }
if python3 -c '' 2>/dev/null; then
    for file in eval.json generate.json encode.json bench.json run/metrics.jsonl corpus.jsonl; do
        check "$file is JSON" parses "$file"
    done
    check "a JSON line per sample" test "$(wc -l <generate.json)" -eq 2
else
    skip "JSON parses" "no python3"
fi
finish
