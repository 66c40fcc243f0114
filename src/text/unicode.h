/* Classes of code points, as the patterns of pre-tokenizers name them. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

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
/* "14.0.0": of the tables. */
const char *unicode_version(void);

#endif
