/* Characters of a text of bytes, for the files of text/ only.
 *
 * A byte that is not part of valid UTF-8 counts as one character of no class (UNICODE_OTHER), so
 * any input passes unchanged. */
#ifndef TEXT_CHARACTER_H
#define TEXT_CHARACTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "text/unicode.h"

struct character {
    uint32_t code;
    enum unicode_class class;
    size_t length; /* bytes; 0 at the end */
};

/* The character at text[at], of a text that ends at `end`. */
static inline struct character character_at(const unsigned char *text, size_t end, size_t at) {
    struct character c = {0};
    if (at >= end) return c;
    if (text[at] < 0x80) {
        c.code = text[at];
        c.class = unicode_ascii_class(text[at]);
        c.length = 1;
        return c;
    }
    c.length = (size_t)utf8_decode(text + at, end - at, &c.code);
    if (c.length > 0) {
        c.class = unicode_class_of(c.code);
        return c;
    }
    c.length = 1;
    c.code = 0xfffd;
    c.class = UNICODE_OTHER;
    return c;
}

static inline bool is_newline(struct character c) {
    return c.length == 1 && (c.code == '\n' || c.code == '\r');
}
static inline bool is_letter(struct character c) { return c.class == UNICODE_LETTER; }
static inline bool is_number(struct character c) { return c.class == UNICODE_NUMBER; }
static inline bool is_punctuation(struct character c) { return c.class == UNICODE_PUNCTUATION; }
static inline bool is_space(struct character c) { return c.class == UNICODE_SPACE; }
static inline bool is_ascii_letter(struct character c) {
    return (c.code >= 'a' && c.code <= 'z') || (c.code >= 'A' && c.code <= 'Z');
}

typedef bool character_test(struct character c);

/* The end of the run of characters that pass, from `at`. */
static inline size_t run_end(const unsigned char *text, size_t end, size_t at,
                             character_test *test) {
    for (;;) {
        struct character c = character_at(text, end, at);
        if (c.length == 0 || !test(c)) return at;
        at += c.length;
    }
}

#endif
