#!/usr/bin/env python3
"""Writes src/text/unicode_tables.h: the class of every code point and whether \\w matches it, as a two-stage
table; and the classes of ASCII on their own.

usage: tools/make_unicode_tables.py > src/text/unicode_tables.h
The Unicode version is that of the Python that runs it."""
import unicodedata

BLOCK = 128
SPACE = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F,
         0x3000, *range(0x2000, 0x200B)}  # the property White_Space


def classify(code):
    if code in SPACE:
        return 6
    return {"L": 1, "M": 2, "N": 3, "P": 4, "S": 5}.get(unicodedata.category(chr(code))[0], 0)


# Alphabetic beside letters, marks and letter numbers (Other_Alphabetic): circled and squared letters.
ALPHABETIC_SYMBOLS = {*range(0x24B6, 0x24EA), *range(0x1F130, 0x1F14A), *range(0x1F150, 0x1F16A),
                      *range(0x1F170, 0x1F18A)}


def is_word(code):
    """\\w of Unicode's regular expressions: Alphabetic, marks, decimal digits, connectors, join controls."""
    category = unicodedata.category(chr(code))
    return (category[0] in "LM" or category in ("Nd", "Nl", "Pc") or code in ALPHABETIC_SYMBOLS
            or code in (0x200C, 0x200D))


def rows(values, per_line):
    for i in range(0, len(values), per_line):
        print("    " + ", ".join(str(v) for v in values[i:i + per_line]) + ",")


blocks, index = {}, []
for start in range(0, 0x110000, BLOCK):
    block = tuple(classify(c) | is_word(c) << 3 for c in range(start, start + BLOCK))
    index.append(blocks.setdefault(block, len(blocks)))
# Two classes a byte, the lower code point in the lower half.
packed = [low | high << 4 for block in blocks for low, high in zip(block[::2], block[1::2])]

print("/* Made by tools/make_unicode_tables.py from Unicode %s; not edited by hand. */"
      % unicodedata.unidata_version)
print("/* clang-format off */")
print('#define UNICODE_VERSION "%s"' % unicodedata.unidata_version)
print("enum { UNICODE_BLOCK = %d };" % BLOCK)
print("static const unsigned char unicode_index[%d] = {" % len(index)
      if len(blocks) <= 256 else "static const unsigned short unicode_index[%d] = {" % len(index))
rows(index, 32)
print("};")
print("static const unsigned char unicode_blocks[%d] = {" % len(packed))
rows(packed, 32)
print("};")
print("const unsigned char unicode_ascii[128] = {")
rows([classify(c) for c in range(128)], 32)
print("};")
print("/* clang-format on */")
