#include "text/patterns.h"

#include <string.h>

#include "text/character.h"

/* ---- what several patterns share ---- */

/* A run of whitespace. */
struct space_run {
    size_t end, last;   /* last: where its last character begins */
    size_t newline_end; /* behind its last newline; 0: it has none */
};
static struct space_run space_run_at(const unsigned char *text, size_t end, size_t at) {
    struct space_run run = {.end = at, .last = at};
    for (;;) {
        struct character c = character_at(text, end, run.end);
        if (!is_space(c)) return run;
        run.last = run.end;
        run.end += c.length;
        if (is_newline(c)) run.newline_end = run.end;
    }
}

/* \s+(?!\S)|\s+ of a run: without the last character, which a word may want, unless the text ends
 * there or it is the only one. */
static size_t space_end(struct space_run run, size_t at, bool is_text_end) {
    return is_text_end || run.last == at ? run.end : run.last;
}

/* The same at a whitespace character; and with \s*[\r\n]+| before it: through the last newline. */
static size_t match_space(const unsigned char *text, size_t end, size_t at) {
    struct space_run run = space_run_at(text, end, at);
    return space_end(run, at, run.end == end);
}
static size_t match_space_lines(const unsigned char *text, size_t end, size_t at) {
    struct space_run run = space_run_at(text, end, at);
    return run.newline_end > 0 ? run.newline_end : space_end(run, at, run.end == end);
}

/* At most `most` characters that pass. */
static size_t run_of(const unsigned char *text, size_t end, size_t at, int most,
                     character_test *test) {
    for (int i = 0; i < most; i++) {
        struct character c = character_at(text, end, at);
        if (c.length == 0 || !test(c)) break;
        at += c.length;
    }
    return at;
}

/* \s?[...]+ */
static size_t match_spaced(const unsigned char *text, size_t end, size_t at, character_test *test) {
    struct character c = character_at(text, end, at);
    if (is_space(c)) {
        size_t run = run_end(text, end, at + c.length, test);
        if (run > at + c.length) return run;
    }
    return run_end(text, end, at, test);
}

/* 's 't 're 've 'm 'll 'd: bytes after the apostrophe, or 0. With folding also in capitals, and
 * with the long s, which folds to s. */
static size_t contraction(const unsigned char *text, size_t end, size_t at, bool folds) {
    static const char *const endings[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t size = strlen(endings[i]), same = 0;
        while (same < size && at + same < end &&
               (text[at + same] | (folds ? 0x20 : 0)) == (unsigned char)endings[i][same])
            same++;
        if (same == size) return size;
    }
    bool is_long_s = folds && end - at >= 2 && text[at] == 0xc5 && text[at + 1] == 0xbf;
    return is_long_s ? 2 : 0;
}

/* ---- GPT-2 ---- */

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* [^\s\p{L}\p{N}] */
static bool is_sign(struct character c) {
    return c.length > 0 && !is_space(c) && !is_letter(c) && !is_number(c);
}

static size_t match_gpt2(const unsigned char *text, size_t end, size_t at) {
    struct character c = character_at(text, end, at);
    if (c.code == '\'') {
        size_t size = contraction(text, end, at + 1, false);
        if (size > 0) return at + 1 + size;
    }
    size_t from = c.code == ' ' ? at + 1 : at;
    struct character next = character_at(text, end, from);
    if (is_letter(next)) return run_end(text, end, from, is_letter);
    if (is_number(next)) return run_end(text, end, from, is_number);
    if (is_sign(next)) return run_end(text, end, from, is_sign);
    return match_space(text, end, at);
}

/* ---- Llama 3 and Qwen2: they differ in how many numbers go together ---- */

#define LLAMA3_BEFORE_NUMBERS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define LLAMA3_AFTER_NUMBERS "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static size_t match_llama3_family(const unsigned char *text, size_t end, size_t at, int numbers) {
    struct character c = character_at(text, end, at);
    if (c.code == '\'') {
        size_t size = contraction(text, end, at + 1, true);
        if (size > 0) return at + 1 + size;
    }
    if (is_letter(c)) return run_end(text, end, at, is_letter);
    if (is_number(c)) return run_of(text, end, at, numbers, is_number);
    struct character next = character_at(text, end, at + c.length);
    if (!is_newline(c) && is_letter(next)) return run_end(text, end, at + c.length, is_letter);
    size_t from = c.code == ' ' ? at + 1 : at;
    size_t signs = run_end(text, end, from, is_sign);
    if (signs > from) return run_end(text, end, signs, is_newline);
    return match_space_lines(text, end, at);
}
static size_t match_llama3(const unsigned char *text, size_t end, size_t at) {
    return match_llama3_family(text, end, at, 3);
}
static size_t match_qwen2(const unsigned char *text, size_t end, size_t at) {
    return match_llama3_family(text, end, at, 1);
}

/* ---- DeepSeek Coder, and DeepSeek LLM and V2: several splits one after the other ---- */

static size_t match_newline(const unsigned char *text, size_t end, size_t at) {
    return run_of(text, end, at, 1, is_newline);
}
static size_t match_spaced_letters(const unsigned char *text, size_t end, size_t at) {
    return match_spaced(text, end, at, is_letter);
}
static size_t match_spaced_punctuation(const unsigned char *text, size_t end, size_t at) {
    return match_spaced(text, end, at, is_punctuation);
}

/* [一-龥ࠀ-一가-퟿] */
static bool is_east_asian(struct character c) {
    return (c.code >= 0x800 && c.code <= 0x9fa5) || (c.code >= 0xac00 && c.code <= 0xd7ff);
}
static size_t match_east_asian(const unsigned char *text, size_t end, size_t at) {
    return run_end(text, end, at, is_east_asian);
}

/* The formatter cannot tell how wide these letters are. */
/* clang-format off */
#define CASED_LETTERS \
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽ" \
    "ᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥ" \
    "ῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎ" \
    "ꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
/* clang-format on */

static const uint32_t cased_ranges[][2] = {
    {0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},       {0xc0, 0xd6},
    {0xd8, 0xf6},       {0xf8, 0x1ba},      {0x1bc, 0x1bf},     {0x1c4, 0x293},
    {0x295, 0x2af},     {0x370, 0x373},     {0x376, 0x376},     {0x377, 0x377},
    {0x37b, 0x37d},     {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},
    {0x38c, 0x38c},     {0x38e, 0x3a1},     {0x3a3, 0x3f5},     {0x3f7, 0x481},
    {0x48a, 0x52f},     {0x531, 0x556},     {0x10a0, 0x10c5},   {0x13a0, 0x13f5},
    {0x13f8, 0x13fd},   {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},
    {0x1d6b, 0x1d77},   {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},   {0x1f18, 0x1f1d},
    {0x1f20, 0x1f45},   {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},
    {0x1f5b, 0x1f5b},   {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},
    {0x1fb6, 0x1fbc},   {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},
    {0x1fd0, 0x1fd3},   {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},
    {0x1ff6, 0x1ffc},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},
    {0x2115, 0x2115},   {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},
    {0x213c, 0x213f},   {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2183},
    {0x2184, 0x2184},   {0x2c00, 0x2c7b},   {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},
    {0x2cf2, 0x2cf2},   {0x2cf3, 0x2cf3},   {0xa640, 0xa66d},   {0xa680, 0xa69b},
    {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},   {0xab70, 0xabbf},
    {0xfb00, 0xfb06},   {0xfb13, 0xfb17},   {0xff21, 0xff3a},   {0xff41, 0xff5a},
    {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb}, {0x10c80, 0x10cb2},
    {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943},
};

static bool is_cased_letter(struct character c) {
    size_t low = 0, high = sizeof cased_ranges / sizeof cased_ranges[0];
    if (c.code < 0x80) return is_ascii_letter(c);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c.code > cased_ranges[middle][1])
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof cased_ranges / sizeof cased_ranges[0] && c.code >= cased_ranges[low][0];
}
static size_t match_spaced_cased(const unsigned char *text, size_t end, size_t at) {
    return match_spaced(text, end, at, is_cased_letter);
}

/* [!-/:-~！-／：-～‘-‟　-。]: the last but one of these ASCII ranges holds the letters too. */
static bool is_v2_sign(struct character c) {
    return (c.code >= '!' && c.code <= '/') || (c.code >= ':' && c.code <= '~') ||
           (c.code >= 0xff01 && c.code <= 0xff0f) || (c.code >= 0xff1a && c.code <= 0xff5e) ||
           (c.code >= 0x2018 && c.code <= 0x201f) || (c.code >= 0x3000 && c.code <= 0x3002);
}
static size_t match_spaced_v2_signs(const unsigned char *text, size_t end, size_t at) {
    return match_spaced(text, end, at, is_v2_sign);
}

/* \s+$ in a run of whitespace: all of it at the end of the text, else up to its last newline. */
static size_t match_space_to_line_end(const unsigned char *text, size_t end, size_t at) {
    size_t next = at, newline = at;
    for (;;) {
        struct character c = character_at(text, end, next);
        if (!is_space(c)) break;
        if (c.code == '\n') newline = next;
        next += c.length;
    }
    return next == end ? next : newline;
}
/* A run that fails has failed for all of its characters: its end need not be looked for again. */
static bool find_space_to_line_end(const unsigned char *text, size_t end, size_t at,
                                   size_t *match_begin, size_t *match_end) {
    while (at < end) {
        size_t run = run_end(text, end, at, is_space);
        size_t matched = run > at ? match_space_to_line_end(text, end, at) : at;
        if (matched > at) {
            *match_begin = at;
            *match_end = matched;
            return true;
        }
        at = run > at ? run : at + character_at(text, end, at).length;
    }
    return false;
}

/* ---- numbers ---- */

static size_t match_number(const unsigned char *text, size_t end, size_t at) {
    return run_of(text, end, at, 1, is_number);
}
static size_t match_3_numbers(const unsigned char *text, size_t end, size_t at) {
    return run_of(text, end, at, 3, is_number);
}
static size_t match_numbers(const unsigned char *text, size_t end, size_t at) {
    return run_end(text, end, at, is_number);
}

/* ---- DeepSeek-V3 ----
 * Three splits, one after the other: up to three numbers; runs of Han and kana; then
 *   A  [ASCII punctuation][A-Za-z]+
 *   B  [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
 *   C  ' '?[\p{P}\p{S}]+[\r\n]*
 *   D  \s*[\r\n]+
 *   E  \s+(?!\S)
 *   F  \s+
 * What no alternative matches is a piece up to the next match. */

#define V3_WORDS                                                                                   \
    "[!\"#$%&'()*+,\\-./"                                                                          \
    ":;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"                \
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

static bool is_word(struct character c) {
    return c.class == UNICODE_LETTER || c.class == UNICODE_MARK;
}
static bool is_mark(struct character c) {
    return c.class == UNICODE_PUNCTUATION || c.class == UNICODE_SYMBOL;
}
static bool is_ascii_punctuation(struct character c) {
    return c.code > ' ' && c.code < 0x7f && is_mark(c);
}
static bool is_han_or_kana(struct character c) {
    return (c.code >= 0x4e00 && c.code <= 0x9fa5) || (c.code >= 0x3040 && c.code <= 0x30ff);
}

static size_t match_han_or_kana(const unsigned char *text, size_t end, size_t at) {
    return run_end(text, end, at, is_han_or_kana);
}

/* The character at `at`. After the first two splits, which have taken numbers and runs of Han and
 * kana out, the text ends before those. */
static inline struct character v3_at(const unsigned char *text, size_t end, size_t at,
                                     bool is_after_splits) {
    struct character c = character_at(text, end, at);
    bool is_end = is_after_splits && (is_number(c) || is_han_or_kana(c));
    return is_end ? (struct character){0} : c;
}

static inline size_t v3_run(const unsigned char *text, size_t end, size_t at, bool is_after_splits,
                            character_test *test) {
    for (;;) {
        struct character c = v3_at(text, end, at, is_after_splits);
        if (c.length == 0 || !test(c)) return at;
        at += c.length;
    }
}

/* Of words, which are most of a text: ASCII goes byte by byte. */
static inline size_t v3_word(const unsigned char *text, size_t end, size_t at,
                             bool is_after_splits) {
    for (;;) {
        while (at < end && text[at] < 0x80 && unicode_ascii[text[at]] == UNICODE_LETTER) at++;
        if (at == end || text[at] < 0x80) return at;
        struct character c = v3_at(text, end, at, is_after_splits);
        if (!is_word(c)) return at;
        at += c.length;
    }
}

/* D, E and F. */
static inline size_t v3_space(const unsigned char *text, size_t end, size_t at,
                              bool is_after_splits) {
    struct space_run run = space_run_at(text, end, at);
    bool is_text_end = v3_at(text, end, run.end, is_after_splits).length == 0;
    return run.newline_end > 0 ? run.newline_end : space_end(run, at, is_text_end);
}

static inline size_t match_v3_words(const unsigned char *text, size_t end, size_t at,
                                    bool is_after_splits) {
    struct character c = v3_at(text, end, at, is_after_splits);
    struct character next = v3_at(text, end, at + c.length, is_after_splits);
    if (is_ascii_punctuation(c) && is_ascii_letter(next)) /* A */
        return run_end(text, end, at + 1, is_ascii_letter);
    if (is_word(c)) return v3_word(text, end, at, is_after_splits); /* B without its first part */
    if (!is_newline(c) && !is_mark(c) && is_word(next))             /* B */
        return v3_word(text, end, at + c.length, is_after_splits);
    bool has_blank = c.code == ' ' && is_mark(next);
    if (has_blank || is_mark(c)) { /* C */
        size_t marks_end = v3_run(text, end, at + (has_blank ? 1 : 0), is_after_splits, is_mark);
        return run_end(text, end, marks_end, is_newline);
    }
    return is_space(c) ? v3_space(text, end, at, is_after_splits) : at;
}
static size_t match_v3(const unsigned char *text, size_t end, size_t at) {
    return match_v3_words(text, end, at, false);
}

size_t v3_next(const unsigned char *text, size_t size, size_t at) {
    struct character c = character_at(text, size, at);
    if (is_number(c)) return match_3_numbers(text, size, at);
    if (is_han_or_kana(c)) return match_han_or_kana(text, size, at);
    size_t end = match_v3_words(text, size, at, true);
    if (end > at) return end;
    /* unmatched: up to where something matches again */
    do {
        end += v3_at(text, size, end, true).length;
    } while (v3_at(text, size, end, true).length > 0 &&
             match_v3_words(text, size, end, true) == end);
    return end;
}

/* ---- the table ---- */

const struct known_pattern known_patterns[PATTERN_COUNT] = {
    [PATTERN_GPT2] = {GPT2, match_gpt2, NULL, LINE_END_PARTED},
    [PATTERN_LLAMA3] = {LLAMA3_BEFORE_NUMBERS "\\p{N}{1,3}" LLAMA3_AFTER_NUMBERS, match_llama3,
                        NULL, LINE_END_PARTED},
    [PATTERN_QWEN2] = {LLAMA3_BEFORE_NUMBERS "\\p{N}" LLAMA3_AFTER_NUMBERS, match_qwen2, NULL,
                       LINE_END_PARTED},
    [PATTERN_V3] = {V3_WORDS, match_v3, NULL, LINE_END_PARTED},
    [PATTERN_HAN_OR_KANA] = {"[一-龥぀-ゟ゠-ヿ]+", match_han_or_kana, NULL, LINE_END_APART},
    [PATTERN_NEWLINE] = {"[\r\n]", match_newline, NULL, LINE_END_PARTED},
    [PATTERN_NEWLINE_ESCAPED] = {"[\\r\\n]", match_newline, NULL, LINE_END_PARTED},
    [PATTERN_SPACED_LETTERS] = {"\\s?\\p{L}+", match_spaced_letters, NULL, LINE_END_PARTED},
    [PATTERN_SPACED_PUNCTUATION] = {"\\s?\\p{P}+", match_spaced_punctuation, NULL, LINE_END_APART},
    [PATTERN_EAST_ASIAN] = {"[一-龥ࠀ-一가-퟿]+", match_east_asian, NULL, LINE_END_APART},
    [PATTERN_SPACED_CASED] = {"\\s?[" CASED_LETTERS "]+", match_spaced_cased, NULL,
                              LINE_END_PARTED},
    [PATTERN_SPACED_V2_SIGNS] = {"\\s?[!-/:-~！-／：-～‘-‟　-。]+", match_spaced_v2_signs, NULL,
                                 LINE_END_PARTED},
    [PATTERN_SPACE_TO_LINE_END] = {"\\s+$", match_space_to_line_end, find_space_to_line_end,
                                   LINE_END_APART},
    [PATTERN_NUMBER] = {"\\p{N}", match_number, NULL, LINE_END_APART},
    [PATTERN_3_NUMBERS] = {"\\p{N}{1,3}", match_3_numbers, NULL, LINE_END_APART},
    [PATTERN_NUMBERS] = {"\\p{N}+", match_numbers, NULL, LINE_END_APART},
};

const struct known_pattern *known_pattern_find(const char *regex, size_t size) {
    for (int i = 0; i < PATTERN_COUNT; i++)
        if (strlen(known_patterns[i].regex) == size &&
            memcmp(known_patterns[i].regex, regex, size) == 0)
            return &known_patterns[i];
    return NULL;
}
