#!/bin/bash
# check_transformers.sh: models that `fathom init` writes, one of each variant in tests/golden and
# configs/nano.json, load in transformers and give the same logits. PYTHON names a Python with
# tools/requirements.txt.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
fathom=${FATHOM:-build/release/fathom} python=${PYTHON:-python3}
work=$(mktemp -d "${TMPDIR:-/tmp}/fathom-transformers.XXXXXX") || exit
trap 'rm -rf "$work"' EXIT
if ! "$python" -c 'import torch, transformers' 2>"$work/why"; then
    tail -n 1 "$work/why"
    echo "$python lacks what this check needs; tools/requirements.txt says how to get it, then:"
    echo "  make check-transformers PYTHON=VENV/bin/python"
    exit 1
fi

set -e
"$fathom" data synth --bytes 300K --words builtin --out "$work/corpus.jsonl" 2>/dev/null
"$fathom" tokenizer train --vocab-size 512 --out "$work/tok" "$work/corpus.jsonl" 2>/dev/null
set +e
tokens=$(seq -s, 3 7 500)
passed=0 failed=0
compare() { # NAME CONFIG
    local directory=$work/$1
    if "$fathom" init --config "$2" --tokenizer "$work/tok" --out "$directory" --init-std 0.05 &&
        "$fathom" logits --model "$directory" --tokens "$tokens" --out "$directory.safetensors" &&
        "$python" tools/compare_transformers.py "$directory" "$directory.safetensors"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
    fi
}
compare nano nano
for golden in tests/golden/*/; do
    name=$(basename "$golden")
    # Their vocabularies are smaller than a tokenizer's.
    sed -E 's/"vocab_size": [0-9]+/"vocab_size": 512/' "$golden/config.json" >"$work/$name.json"
    compare "$name" "$work/$name.json"
done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
