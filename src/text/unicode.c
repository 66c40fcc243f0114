#include "text/unicode.h"

#include "text/unicode_tables.h"

enum unicode_class unicode_class_of(uint32_t code) {
    if (code > 0x10ffff) return UNICODE_OTHER;
    uint32_t at =
        (uint32_t)unicode_index[code / UNICODE_BLOCK] * UNICODE_BLOCK + code % UNICODE_BLOCK;
    unsigned pair = unicode_blocks[at / 2];
    return (enum unicode_class)(at % 2 ? pair >> 4 : pair & 15);
}

const char *unicode_version(void) { return UNICODE_VERSION; }
