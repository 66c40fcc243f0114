#include "text/pretokenizer.h"

#include <string.h>

#include "base/text.h"
#include "text/unicode.h"

/* ---- characters ---- */

struct character {
    uint32_t code;
    enum unicode_class class;
    size_t length; /* bytes; 0 at the end */
};

static struct character character_at(const unsigned char *text, size_t end, size_t at) {
    struct character c = {0};
    if (at >= end) return c;
    c.length = (size_t)utf8_decode(text + at, end - at, &c.code);
    if (c.length == 0) {
        c.length = 1;
        c.code = 0xfffd;
        c.class = UNICODE_OTHER;
    } else {
        c.class = unicode_class_of(c.code);
    }
    return c;
}

static bool is_newline(struct character c) {
    return c.length == 1 && (c.code == '\n' || c.code == '\r');
}
static bool is_space(struct character c) { return c.length > 0 && c.class == UNICODE_SPACE; }
static bool is_word(struct character c) {
    return c.class == UNICODE_LETTER || c.class == UNICODE_MARK;
}
static bool is_mark(struct character c) {
    return c.class == UNICODE_PUNCTUATION || c.class == UNICODE_SYMBOL;
}
static bool is_ascii_letter(struct character c) {
    return (c.code >= 'a' && c.code <= 'z') || (c.code >= 'A' && c.code <= 'Z');
}

typedef bool character_test(struct character c);

/* The end of the run of characters that pass, from `at`. */
static size_t run_end(const unsigned char *text, size_t end, size_t at, character_test *test) {
    for (;;) {
        struct character c = character_at(text, end, at);
        if (c.length == 0 || !test(c)) return at;
        at += c.length;
    }
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

static bool is_ascii_punctuation(struct character c) {
    return c.code > ' ' && c.code < 0x7f && is_mark(c);
}

static bool is_han_or_kana(struct character c) {
    return (c.code >= 0x4e00 && c.code <= 0x9fa5) || (c.code >= 0x3040 && c.code <= 0x30ff);
}

/* D, E and F at a whitespace character: through the last newline of the run; else the run without
 * the last character that a word may want; else that one character. */
static size_t v3_match_space(const unsigned char *text, size_t end, size_t at) {
    size_t newline_end = 0, last = at, next = at;
    for (;;) {
        struct character c = character_at(text, end, next);
        if (!is_space(c)) break;
        last = next;
        next += c.length;
        if (is_newline(c)) newline_end = next;
    }
    if (newline_end > 0) return newline_end;
    return next == end || last == at ? next : last;
}

/* The end of a match that begins at `at`, or `at` when there is none. */
static size_t v3_match(const unsigned char *text, size_t end, size_t at) {
    struct character c = character_at(text, end, at);
    struct character next = character_at(text, end, at + c.length);
    if (is_ascii_punctuation(c) && is_ascii_letter(next)) /* A */
        return run_end(text, end, at + 1, is_ascii_letter);
    if (is_word(c)) return run_end(text, end, at, is_word); /* B without its first part */
    if (!is_newline(c) && !is_mark(c) && is_word(next))     /* B */
        return run_end(text, end, at + c.length, is_word);
    bool has_blank = c.code == ' ' && is_mark(next);
    if (has_blank || is_mark(c)) { /* C */
        size_t marks_end = run_end(text, end, at + (has_blank ? 1 : 0), is_mark);
        return run_end(text, end, marks_end, is_newline);
    }
    return is_space(c) ? v3_match_space(text, end, at) : at;
}

/* Up to three numbers from `at`. */
static size_t v3_numbers(const unsigned char *text, size_t end, size_t at) {
    for (int i = 0; i < 3; i++) {
        struct character c = character_at(text, end, at);
        if (c.length == 0 || c.class != UNICODE_NUMBER) break;
        at += c.length;
    }
    return at;
}

static bool is_no_number(struct character c) { return c.class != UNICODE_NUMBER; }
static bool is_no_han_or_kana(struct character c) { return !is_han_or_kana(c); }

static size_t v3_next(struct pretokenizer *p) {
    const unsigned char *text = p->text;
    if (p->at == p->number_end) {
        size_t numbers = v3_numbers(text, p->size, p->at);
        if (numbers > p->at) return p->number_end = p->script_end = numbers;
        p->number_end = run_end(text, p->size, p->at, is_no_number);
        p->script_end = p->at;
    }
    if (p->at == p->script_end) {
        size_t script = run_end(text, p->number_end, p->at, is_han_or_kana);
        if (script > p->at) {
            p->script_end = script;
            return script;
        }
        p->script_end = run_end(text, p->number_end, p->at, is_no_han_or_kana);
    }
    size_t end = v3_match(text, p->script_end, p->at);
    if (end > p->at) return end;
    /* unmatched: up to where something matches again */
    for (end = p->at; end < p->script_end;) {
        end += character_at(text, p->script_end, end).length;
        if (end < p->script_end && v3_match(text, p->script_end, end) > end) break;
    }
    return end;
}

/* ---- the table ---- */

#define ISOLATED(pattern)                                                                          \
    "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"" pattern                                    \
    "\"}, \"behavior\": \"Isolated\", \"invert\": false}"
#define BYTE_LEVEL                                                                                 \
    "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "              \
    "\"use_regex\": false}"

struct family {
    const char *name;
    const char *json;
    size_t (*next)(struct pretokenizer *p);
};
static const struct family families[PRETOKENIZER_COUNT] = {
    [PRETOKENIZER_DEEPSEEK_V3] =
        {"deepseek-v3",
         "{\"type\": \"Sequence\", \"pretokenizers\": [" ISOLATED("\\\\p{N}{1,3}") ", " ISOLATED(
             "[一-龥぀-ゟ゠-ヿ]+") ", " ISOLATED("[!\\\"#$%&'()*+,\\\\-./"
                                                       ":;<=>?@\\\\[\\\\\\\\\\\\]^_`{|}~][A-Za-z]+|"
                                                       "[^\\r\\n\\\\p{L}\\\\p{P}\\\\p{S}]?[\\\\p{L}"
                                                       "\\\\p{M}]+|"
                                                       " ?[\\\\p{P}\\\\p{S}]+[\\r\\n]*|\\\\s*["
                                                       "\\r\\n]+|\\\\s+(?!\\\\S)|"
                                                       "\\\\s+") ", " BYTE_LEVEL "]}",
         v3_next},
};

const char *pretokenizer_name(enum pretokenizer_kind kind) { return families[kind].name; }
const char *pretokenizer_json(enum pretokenizer_kind kind) { return families[kind].json; }

/* The flag, or what Hugging Face takes where it is absent. */
static bool flag_or(const json_node *step, const char *key, bool absent) {
    const json_node *flag = json_member(step, key);
    return flag ? json_bool(flag) : absent;
}

/* Two members of a Sequence are the same step. */
static bool is_same_step(const json_node *a, const json_node *b) {
    static const char *const keys[] = {"type", "behavior"};
    for (int i = 0; i < 2; i++)
        if (strcmp(json_string(json_member(a, keys[i]), NULL),
                   json_string(json_member(b, keys[i]), NULL)) != 0)
            return false;
    if (flag_or(a, "invert", false) != flag_or(b, "invert", false) ||
        flag_or(a, "add_prefix_space", true) != flag_or(b, "add_prefix_space", true) ||
        flag_or(a, "use_regex", true) != flag_or(b, "use_regex", true))
        return false;
    const char *x = json_string(json_member(json_member(a, "pattern"), "Regex"), NULL);
    const char *y = json_string(json_member(json_member(b, "pattern"), "Regex"), NULL);
    return strcmp(x, y) == 0;
}

static bool is_same_sequence(const json_node *a, const json_node *b) {
    const json_node *x = json_member(a, "pretokenizers"), *y = json_member(b, "pretokenizers");
    size_t count = json_count(x);
    bool is_same = strcmp(json_string(json_member(a, "type"), NULL), "Sequence") == 0 &&
                   count > 0 && count == json_count(y);
    for (size_t i = 0; is_same && i < count; i++)
        is_same = is_same_step(json_element(x, i), json_element(y, i));
    return is_same;
}

/* Types and patterns of its steps, for a message. */
static void describe(const json_node *object, struct text *out) {
    const json_node *steps = json_member(object, "pretokenizers");
    size_t count = steps ? json_count(steps) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_node *step = steps ? json_element(steps, i) : object;
        const char *type = json_string(json_member(step, "type"), NULL);
        const char *regex = json_string(json_member(json_member(step, "pattern"), "Regex"), NULL);
        text_printf(out, "%s%s", i ? ", " : "", *type ? type : "none");
        if (*regex) text_printf(out, " \"%s\"", regex);
    }
}

fathom_status pretokenizer_recognise(const json_node *object, const char *what,
                                     enum pretokenizer_kind *kind, struct error *err) {
    for (int i = 0; i < PRETOKENIZER_COUNT; i++) {
        json_node *known = NULL;
        TRY(json_parse(&known, families[i].json, strlen(families[i].json), families[i].name, err));
        bool is_same = is_same_sequence(object, known);
        json_free(known);
        if (!is_same) continue;
        *kind = (enum pretokenizer_kind)i;
        return FATHOM_OK;
    }
    struct text steps = {0};
    describe(object, &steps);
    fathom_status status = error_set(
        err, FATHOM_UNSUPPORTED, "%s: its pre-tokenizer is not known here (deepseek-v3's is): %s",
        what, text_data(&steps));
    text_free(&steps);
    return status;
}

void pretokenizer_start(struct pretokenizer *p, enum pretokenizer_kind kind, const void *text,
                        size_t size) {
    *p = (struct pretokenizer){.kind = kind, .text = text, .size = size};
}

bool pretokenizer_next(struct pretokenizer *p, size_t *begin, size_t *end) {
    if (p->at >= p->size) return false;
    *begin = p->at;
    *end = p->at = families[p->kind].next(p);
    return true;
}

size_t pretokenizer_cut(const void *text, size_t size, size_t at) {
    const unsigned char *bytes = text;
    while (at + 1 < size) {
        const unsigned char *newline = memchr(bytes + at, '\n', size - 1 - at);
        if (!newline) return size;
        at = (size_t)(newline - bytes) + 1;
        if ((bytes[at] | 0x20) >= 'a' && (bytes[at] | 0x20) <= 'z') return at;
    }
    return size;
}
