/* Classes of code points, as the patterns of pre-tokenizers name them. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

enum unicode_class {
    UNICODE_OTHER,  /* controls, unassigned, private use; also a byte that is not valid UTF-8 */
    UNICODE_LETTER, /* \p{L} */
    UNICODE_MARK,   /* \p{M} */
    UNICODE_NUMBER, /* \p{N} */
    UNICODE_PUNCTUATION, /* \p{P} */
    UNICODE_SYMBOL,      /* \p{S} */
    UNICODE_SPACE,       /* \s: the property White_Space */
};
enum unicode_class unicode_class_of(uint32_t code);
/* The same for a code below 0x80, faster. */
extern const unsigned char unicode_ascii[128];
static inline enum unicode_class unicode_ascii_class(unsigned char code) {
    return (enum unicode_class)unicode_ascii[code];
}
/* Whether \w matches it: letters, marks, decimal digits, connectors and what else is alphabetic. */
bool unicode_is_word(uint32_t code);
/* "14.0.0": of the tables. */
const char *unicode_version(void);

#endif
