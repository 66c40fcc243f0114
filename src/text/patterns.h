/* Patterns of published pre-tokenizers, matched by hand: linear in the text, no allocation.
 *
 * None of them looks behind, so a match depends on the text from its beginning on alone. */
#ifndef TEXT_PATTERNS_H
#define TEXT_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

/* The end of the match that begins at text[at], of a text that ends at `end`; `at` for none. */
typedef size_t pattern_match(const unsigned char *text, size_t end, size_t at);
/* The first match from `at` on; false for none. */
typedef bool pattern_find(const unsigned char *text, size_t end, size_t at, size_t *match_begin,
                          size_t *match_end);

/* What a pattern does at a place between an ASCII letter and a newline, which is where long texts
 * may be cut into parts. */
enum pattern_at_line_end {
    LINE_END_PARTED, /* pieces part there, and on both sides they do not depend on the other */
    LINE_END_APART,  /* no match reaches across it or depends on what is across it */
};

struct known_pattern {
    const char *regex;
    pattern_match *match;
    pattern_find *find; /* NULL: try `match` at every character; given where that is quadratic */
    enum pattern_at_line_end at_line_end;
};

enum known_pattern_id {
    PATTERN_GPT2,
    PATTERN_LLAMA3,
    PATTERN_QWEN2,
    PATTERN_V3, /* the last of V3's three splits */
    PATTERN_HAN_OR_KANA,
    PATTERN_NEWLINE,
    PATTERN_NEWLINE_ESCAPED, /* the same, spelled with backslashes */
    PATTERN_SPACED_LETTERS,
    PATTERN_SPACED_PUNCTUATION,
    PATTERN_EAST_ASIAN,
    PATTERN_SPACED_CASED,    /* V2: letters of scripts that have capitals */
    PATTERN_SPACED_V2_SIGNS, /* V2: ASCII but for digits, full-width signs, quotes */
    PATTERN_SPACE_TO_LINE_END,
    PATTERN_NUMBER,
    PATTERN_3_NUMBERS,
    PATTERN_NUMBERS,
    PATTERN_COUNT
};
extern const struct known_pattern known_patterns[PATTERN_COUNT];

/* NULL for a pattern that is not known. */
const struct known_pattern *known_pattern_find(const char *regex, size_t size);

/* DeepSeek-V3's three splits, 3_NUMBERS, HAN_OR_KANA and V3 one after the other, in one pass: the
 * end of the piece that begins at `at` < size. */
size_t v3_next(const unsigned char *text, size_t size, size_t at);

#endif
