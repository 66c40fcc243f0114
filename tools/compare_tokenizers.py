"""Compares `fathom tokenizer` with Hugging Face's tokenizers and transformers.

    python tools/compare_tokenizers.py FATHOM DIR... [--strings N] [--seed N] [--train FILE.txt --vocab-size N]
        [--families FILE.txt]

For each tokenizer directory: ids and decoded text of N random strings over all of Unicode must be equal, with
added tokens recognised. With --train, FATHOM trains on the file; the merges must be those that tokenizers' own
BpeTrainer finds, and the directory written must load as PreTrainedTokenizerFast with equal ids. Strings that
differ are printed with the names of their characters. With --families, FATHOM trains with every pre-tokenizer that
it knows by name, and the strings are compared with that and with variants of its file: normalizers, a prefix space,
patterns that only a regular expression matches, added tokens that take what is around them. Exit status: 0 where nothing differs, else 1.

Classes of characters follow each side's Unicode version; fathom's is named at the top of
src/text/unicode_tables.h, utf8proc has its own for normal forms. Hugging Face's patterns have Oniguruma's (the
same as Debian 12's), but digits, words around added tokens and normal forms those of three Rust libraries. For the
variants, code points that the two sides see differently are listed, must be newer than Unicode 3.2, and are left out.
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


def ranges(codes):
    """[1, 2, 3, 7] as "U+0001-0003 U+0007"."""
    parts, codes = [], sorted(codes)
    for code in codes:
        if parts and parts[-1][1] == code - 1:
            parts[-1][1] = code
        else:
            parts.append([code, code])
    return " ".join(f"U+{a:04X}" + (f"-{b:04X}" if b > a else "") for a, b in parts)


def newer_code_points(fathom, directory, theirs):
    """Code points that the two sides' versions of Unicode see differently: none may be as old as Unicode 3.2."""
    characters = all_characters()
    strings = [f"{c}a{c}1{c}2a{c} q{c}\u0334\u0323{c}1a" for c in characters]
    ours = encode_ours(fathom, directory, strings)
    encoded = (e.ids for e in theirs.encode_batch(strings, add_special_tokens=False))
    newer = {ord(c) for c, a, b in zip(characters, ours, encoded) if a != b}
    old = {c for c in newer if unicodedata.ucd_3_2_0.category(chr(c)) != "Cn"}
    print(f"{directory}: versions of Unicode differ at {len(newer)} code points: {ranges(newer)}")
    if old:
        print(f"{directory}: but these are of Unicode 3.2 and must not differ: {ranges(old)}")
    return newer, len(old)


def compare_directory(fathom, directory, count, seed, is_lossless=True, with_newer=False):
    theirs = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    content = [token.content for token in theirs.get_added_tokens_decoder().values()]
    strings = random_strings(random.Random(seed), count, content)
    newer, old = newer_code_points(fathom, directory, theirs) if with_newer else (set(), 0)
    strings = [s for s in strings if newer.isdisjoint(map(ord, s))]
    ours = encode_ours(fathom, directory, strings)
    encoded = [e.ids for e in theirs.encode_batch(strings, add_special_tokens=False)]
    differences = old + compare_ids(f"{directory}: ids", strings, ours, encoded)
    if not is_lossless:
        return differences
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


def compare_training(fathom, path, vocab_size, directory, count, seed, family="deepseek-v3"):
    run(fathom, "tokenizer", "train", "--vocab-size", vocab_size, "--pre-tokenizer", family, "--out", directory, path)
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


FAMILIES = ("deepseek-v3", "deepseek-llm", "deepseek-coder", "qwen2", "llama-bpe", "gpt-2", "smollm")


def split(pattern, behavior, invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def byte_level(prefix=False, regex=False):
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": regex}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": [*steps, byte_level()]}


def variants():
    """What is changed in a tokenizer.json, by name."""
    form = {f: {"normalizer": {"type": f}} for f in ("NFC", "NFD", "NFKC", "NFKD")}
    replace = [{"type": "Replace", "pattern": {"String": "ab"}, "content": "\u00e9!"},
               {"type": "Replace", "pattern": {"Regex": "\\s{2,}|(?=\\d)"}, "content": "\n"},
               {"type": "Prepend", "prepend": " "}]
    added = [{"content": c, "single_word": s, "lstrip": l, "rstrip": r, "normalized": n, "special": False}
             for c, s, l, r, n in (("<l>", False, True, False, False), ("<r>", False, False, True, False),
                                   ("1a", True, False, False, False), ("<\u00e9>", False, True, True, True),
                                   ("e\u0301", True, False, False, True))]
    return {
        **form,
        "replace and prepend": {"normalizer": {"type": "Sequence", "normalizers": replace}},
        "NFC, added tokens": {**form["NFC"], "added": added},
        "added tokens": {"added": added},
        "ignore_merges": {"ignore_merges": True},
        "prefix space": {"pre_tokenizer": byte_level(True, True)},
        "prefix space after digits": {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": False}, byte_level(True, True)]}},
        "bytes only": {"pre_tokenizer": byte_level()},
        "words by expression": {"pre_tokenizer": sequence(
            split("\\w+|[^\\w\\s]+", "MergedWithPrevious"), split("[\\p{Lu}]", "MergedWithNext"))},
        "removed and inverted": {"pre_tokenizer": sequence(
            split(" ", "Removed", kind="String"), split("[\\p{L}\\p{M}]+", "Contiguous", True))},
        "empty matches": {"pre_tokenizer": sequence(split("(?<=\\p{Ll})(?=\\p{Lu})|x*", "Isolated"))},
        "o200k": {"pre_tokenizer": sequence(split(
            "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|"
            "'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "Isolated"))},
    }


def write_variant(path, change, directory):
    written = json.loads(path.read_text())
    next_id = 1 + max([*written["model"]["vocab"].values(), *(token["id"] for token in written["added_tokens"])])
    for token in change.get("added", []):
        written["added_tokens"].append({"id": next_id, **token})
        next_id += 1
    written["model"]["ignore_merges"] = change.get("ignore_merges", False)
    written.update({key: change[key] for key in ("normalizer", "pre_tokenizer") if key in change})
    directory.mkdir()
    (directory / "tokenizer.json").write_text(json.dumps(written))


def compare_families(fathom, path, vocab_size, scratch, count, seed):
    differences = 0
    for family in FAMILIES:
        differences += compare_training(fathom, path, vocab_size, scratch / family, count, seed, family)
    for name, change in variants().items():
        directory = scratch / name
        write_variant(scratch / "llama-bpe" / "tokenizer.json", change, directory)
        differences += compare_directory(fathom, directory, count, seed, "normalizer" not in change and
                                         "prefix" not in name and "removed" not in name and "added" not in change,
                                         with_newer=True)
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fathom", type=pathlib.Path, metavar="FATHOM")
    parser.add_argument("directories", type=pathlib.Path, nargs="*", metavar="DIR")
    parser.add_argument("--strings", type=int, default=20000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--train", type=pathlib.Path, action="append", default=[], metavar="FILE.txt")
    parser.add_argument("--vocab-size", type=int, default=1000, metavar="N")
    parser.add_argument("--families", type=pathlib.Path, metavar="FILE.txt")
    o = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}")
    differences = sum(compare_directory(o.fathom, d, o.strings, o.seed) for d in o.directories)
    for path in o.train:
        with tempfile.TemporaryDirectory() as scratch:
            differences += compare_training(o.fathom, path, o.vocab_size, pathlib.Path(scratch) / "t", o.strings,
                                            o.seed)
    if o.families:
        with tempfile.TemporaryDirectory() as scratch:
            differences += compare_families(o.fathom, o.families, o.vocab_size, pathlib.Path(scratch), o.strings,
                                            o.seed)
    print("ok" if differences == 0 else f"FAILED: {differences} differences")
    return 0 if differences == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
