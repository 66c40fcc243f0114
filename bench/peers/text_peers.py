"""Encodes a file with tiktoken and with Hugging Face's tokenizers, on one thread; prints one JSON object.

    python bench/peers/text_peers.py TOKENIZER_DIR FILE [--bytes N] [--only tiktoken]

TOKENIZER_DIR holds a byte-level tokenizer.json with DeepSeek-V3's pre-tokenizer. tiktoken gets its vocabulary
and the three splits as one pattern, which cuts as they do but for rare places; the counts of tokens tell.
"""

import argparse
import json
import os
import pathlib
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken  # noqa: E402
import tokenizers  # noqa: E402

PATTERN = (
    r"\p{N}{1,3}|[一-龥぀-ゟ゠-ヿ]+"
    r"|[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_of():
    """GPT-2's table from printable characters to bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    table = {chr(b): b for b in plain}
    table.update({chr(256 + i): b for i, b in enumerate(others)})
    return table


def make_tiktoken(directory):
    root = json.loads((directory / "tokenizer.json").read_text())
    table = byte_of()
    ranks = {}
    for spelling, rank in root["model"]["vocab"].items():
        if all(c in table for c in spelling):
            ranks[bytes(table[c] for c in spelling)] = rank
    return tiktoken.Encoding("peer", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def best_of(runs, encode):
    seconds, count = [], 0
    for _ in range(runs):
        begin = time.perf_counter()
        count = encode()
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[len(seconds) // 2], count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    parser.add_argument("--bytes", type=int, default=4 << 20)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    data = options.file.read_bytes()[: options.bytes]
    text = data.decode("utf-8", errors="ignore")
    size = len(text.encode())
    # Both are slow on long texts, so they get paragraphs of a few kilobytes, as fathom gets sections.
    parts, at = [], 0
    while at < len(text):
        end = text.find("\n", at + 16384)
        end = len(text) if end < 0 else end
        parts.append(text[at:end])
        at = end
    tik = make_tiktoken(options.directory)
    hf = tokenizers.Tokenizer.from_file(str(options.directory / "tokenizer.json"))
    tik_seconds, tik_count = best_of(
        options.runs, lambda: sum(len(tik.encode_ordinary(p)) for p in parts))
    hf_seconds, hf_count = best_of(
        1, lambda: sum(len(hf.encode(p, add_special_tokens=False).ids) for p in parts))
    print(json.dumps({
        "bytes": size, "tiktoken_mbs": size / tik_seconds / 1e6, "tiktoken_tokens": tik_count,
        "tokenizers_mbs": size / hf_seconds / 1e6, "tokenizers_tokens": hf_count}))


main()
