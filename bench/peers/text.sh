#!/bin/bash
# text.sh TOKENIZER_DIR FILE...: one thread's encoding in fathom against tiktoken and Hugging Face's
# tokenizers on the same texts, in turn, ROUNDS times (3); prints the medians and the ratio. Besides the
# files (text, UTF-8) come texts that are made here: JSON lines and random UTF-8. TOKENIZER_DIR is one
# with DeepSeek-V3's pre-tokenizer. PYTHON names a Python with tiktoken and tokenizers; without it
# they are installed into build/peers from PyPI.
set -euo pipefail
cd "$(dirname "$0")/../.."
fathom=${FATHOM:-build/release/fathom} rounds=${ROUNDS:-3}
[ $# -ge 1 ] || { echo "text.sh: needs a directory with tokenizer.json" >&2; exit 2; }
tokenizer=$1
shift
if [ -z "${PYTHON:-}" ]; then
    PYTHON=build/peers/bin/python
    [ -x "$PYTHON" ] || python3 -m venv build/peers
    "$PYTHON" -c 'import tiktoken, tokenizers' 2>/dev/null || "$PYTHON" -m pip install -q tiktoken tokenizers
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
"$fathom" data synth --words builtin --bytes 4M --out "$made/json_lines.jsonl" 2>/dev/null
mv "$made/json_lines.jsonl" "$made/json_lines.txt" # the objects themselves are the text
"$PYTHON" - "$made/random_utf8.txt" <<'END'
import random, sys
random.seed(1)
codes = [c for c in range(32, 0x30000) if not 0xd800 <= c < 0xe000]
with open(sys.argv[1], "w", encoding="utf-8") as out:
    for _ in range(40000):
        out.write("".join(chr(random.choice(codes)) for _ in range(30)) + "\n")
END

number() { grep -oE "\"$1\": [0-9.]+" | grep -oE '[0-9.]+$'; }
middle() { sort -g | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

"$PYTHON" -c 'import tiktoken, tokenizers, importlib.metadata as m
print("tiktoken", m.version("tiktoken"), "and tokenizers", m.version("tokenizers"))'
printf '%-24s %10s %10s %12s %8s  %s\n' text fathom tiktoken tokenizers ratio 'decode; tokens of the three'
for file in "$@" "$made/json_lines.txt" "$made/random_utf8.txt"; do
    ours=() tik=() hf=()
    for ((i = 0; i < rounds; i++)); do
        a=$("$fathom" bench text --model "$tokenizer" --size 4M --runs 3 --json "$file")
        b=$("$PYTHON" bench/peers/text_peers.py "$tokenizer" "$file")
        ours+=("$(number encode_mbs <<<"$a")")
        tik+=("$(number tiktoken_mbs <<<"$b")")
        hf+=("$(number tokenizers_mbs <<<"$b")")
    done
    awk -v name="$(basename "$file")" -v a="$(printf '%s\n' "${ours[@]}" | middle)" \
        -v b="$(printf '%s\n' "${tik[@]}" | middle)" -v c="$(printf '%s\n' "${hf[@]}" | middle)" \
        -v decode="$(number decode_mbs <<<"$a")" -v counts="$(number tokens <<<"$a") $(number tiktoken_tokens <<<"$b") $(number tokenizers_tokens <<<"$b")" \
        'BEGIN { printf "%-24s %10.1f %10.1f %12.1f %8.1f  %s MB/s; %s\n", name, a, b, c, a / b, decode, counts }'
done
