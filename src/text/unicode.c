#include "text/unicode.h"

#include "text/unicode_tables.h"

/* The class in the lower three bits, and a bit for \w. */
static unsigned properties(uint32_t code) {
    if (code > 0x10ffff) return UNICODE_OTHER;
    uint32_t at =
        (uint32_t)unicode_index[code / UNICODE_BLOCK] * UNICODE_BLOCK + code % UNICODE_BLOCK;
    unsigned pair = unicode_blocks[at / 2];
    return at % 2 ? pair >> 4 : pair & 15;
}

enum unicode_class unicode_class_of(uint32_t code) {
    return (enum unicode_class)(properties(code) & 7);
}

bool unicode_is_word(uint32_t code) { return properties(code) & 8; }

const char *unicode_version(void) { return UNICODE_VERSION; }
