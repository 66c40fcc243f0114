"""Compares `fathom tokenizer` with Hugging Face's tokenizers and transformers.

    python tools/compare_tokenizers.py FATHOM DIR... [--strings N] [--seed N] [--train FILE.txt --vocab-size N]

For each tokenizer directory: ids and decoded text of N random strings over all of Unicode must be equal, with
added tokens recognised. With --train, FATHOM trains on the file; the merges must be those that tokenizers' own
BpeTrainer finds, and the directory written must load as PreTrainedTokenizerFast with equal ids. Strings that
differ are printed with the names of their characters. Exit status: 0 where nothing differs, else 1.

Classes of characters follow each side's Unicode version; fathom's is named at the top of
src/text/unicode_tables.h. Code points that a newer version assigned are where strings may differ.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import unicodedata

import tokenizers
import transformers

SHOWN = 10  # differing strings that are printed
SPACES = [chr(c) for c in (*range(9, 14), 0x20, 0x20, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C),
                           0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0xFEFF, 0x180E)]


def all_characters():
    return [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]


def alphabets(content):
    """Sets of characters from which strings are drawn: small ones meet each other's patterns more often."""
    everything = all_characters()
    kinds = {}
    for c in everything:
        kinds.setdefault(unicodedata.category(c)[0], []).append(c)
    ascii_text = [chr(c) for c in range(32, 127)]
    borders = [chr(c + d) for c in (0x3040, 0x30FF, 0x4E00, 0x9FA5) for d in (-1, 0, 1)]
    return [everything, ascii_text, ascii_text + SPACES, SPACES + list("ab1!\r\n\n"), borders + list("a1 !\n"),
            list("ab "), list("0123456789a,. "), *kinds.values(), content + ascii_text + SPACES,
            kinds["M"] + kinds["L"][:100] + list(" !1"), kinds["N"] + list("1a !"), content]


def random_strings(rng, count, content):
    sets = alphabets(content)
    for _ in range(count):
        chosen = rng.choice(sets)
        mixed = chosen if rng.random() < 0.6 else rng.choices(chosen, k=3) + rng.choices(rng.choice(sets), k=3)
        yield "".join(rng.choices(mixed, k=rng.choice((1, 2, 3, 5, 8, 16, 40, 120))))


def run(*words, stdin=None):
    done = subprocess.run([str(w) for w in words], input=stdin, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {done.stderr.decode()}")
    return done.stdout


def encode_ours(fathom, directory, strings):
    lines = "".join(json.dumps({"text": s}) + "\n" for s in strings)
    out = run(fathom, "tokenizer", "encode", "--model", directory, "--jsonl", "--parse-special",
              stdin=lines.encode())
    return [json.loads(line)["ids"] for line in out.splitlines()]


def names(string):
    return " ".join(f"U+{ord(c):04X}({unicodedata.name(c, '?')})" for c in string[:20])


def compare_ids(what, strings, ours, theirs):
    wrong = [i for i in range(len(strings)) if ours[i] != theirs[i]]
    for i in wrong[:SHOWN]:
        print(f"{what}: {names(strings[i])}\n  ours   {ours[i][:40]}\n  theirs {theirs[i][:40]}")
    print(f"{what}: {len(strings)} strings, {len(wrong)} differ")
    return len(wrong)


def compare_directory(fathom, directory, count, seed):
    theirs = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    content = [token.content for token in theirs.get_added_tokens_decoder().values()]
    strings = list(random_strings(random.Random(seed), count, content))
    ours = encode_ours(fathom, directory, strings)
    encoded = [e.ids for e in theirs.encode_batch(strings, add_special_tokens=False)]
    differences = compare_ids(f"{directory}: ids", strings, ours, encoded)
    # One decode for all: the texts end in bytes of whole characters, so they join.
    text = run(fathom, "tokenizer", "decode", "--model", directory,
               stdin=" ".join(str(i) for ids in ours for i in ids).encode())
    is_same = text == "".join(strings).encode()
    print(f"{directory}: decoded text {'equals' if is_same else 'DIFFERS FROM'} what was encoded")
    return differences + (not is_same)


def compare_fast(directory, strings):
    """The directory in transformers against its tokenizer.json in tokenizers."""
    fast = transformers.AutoTokenizer.from_pretrained(directory, local_files_only=True)
    plain = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    ours = [e.ids for e in plain.encode_batch(strings, add_special_tokens=False)]
    theirs = [fast.encode(s, add_special_tokens=False) for s in strings]
    print(f"{directory}: {type(fast).__name__}, bos {fast.bos_token!r}, eos {fast.eos_token!r}")
    return compare_ids(f"{directory}: transformers", strings, ours, theirs)


def compare_training(fathom, path, vocab_size, directory, count, seed):
    run(fathom, "tokenizer", "train", "--vocab-size", vocab_size, "--out", directory, path)
    written = json.loads((directory / "tokenizer.json").read_text())
    added = written["added_tokens"]
    leading = [token["content"] for token in added[:3]]
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json")).pre_tokenizer
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocab_size - (len(added) - len(leading)), min_frequency=2, show_progress=False,
        special_tokens=leading, initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet())
    theirs.train_from_iterator([path.read_text()], trainer)
    merges = [" ".join(m) if isinstance(m, list) else m for m in json.loads(theirs.to_str())["model"]["merges"]]
    ours = written["model"]["merges"]
    first = next((i for i, pair in enumerate(zip(ours, merges)) if pair[0] != pair[1]), min(len(ours), len(merges)))
    is_same = ours == merges
    print(f"{path}: {len(ours)} merges, theirs {len(merges)}: {'equal' if is_same else f'differ from {first}'}")
    strings = list(random_strings(random.Random(seed), count // 10 + 1, [t["content"] for t in added]))
    return (not is_same) + compare_directory(fathom, directory, count, seed) + compare_fast(directory, strings)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fathom", type=pathlib.Path, metavar="FATHOM")
    parser.add_argument("directories", type=pathlib.Path, nargs="*", metavar="DIR")
    parser.add_argument("--strings", type=int, default=20000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--train", type=pathlib.Path, action="append", default=[], metavar="FILE.txt")
    parser.add_argument("--vocab-size", type=int, default=1000, metavar="N")
    o = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}")
    differences = sum(compare_directory(o.fathom, d, o.strings, o.seed) for d in o.directories)
    for path in o.train:
        with tempfile.TemporaryDirectory() as scratch:
            differences += compare_training(o.fathom, path, o.vocab_size, pathlib.Path(scratch) / "t", o.strings,
                                            o.seed)
    print("ok" if differences == 0 else f"FAILED: {differences} differences")
    return 0 if differences == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
