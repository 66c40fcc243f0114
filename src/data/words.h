/* Words of a text, for comparing texts by what they say: runs of letters, marks and digits, ASCII
 * letters without regard to case. In scripts that put no spaces between words (Chinese, Japanese,
 * Thai, Lao, Khmer, Burmese) every character is one. */
#ifndef DATA_WORDS_H
#define DATA_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct word {
    uint64_t hash; /* equal for equal words */
    uint32_t size; /* bytes */
    uint32_t characters;
};

/* The next word from text[*at] on, which moves behind it; false at the end. */
bool word_next(const char *text, size_t size, size_t *at, struct word *word);

/* All of a text's words. Zero-initialise; word_array_free when done. */
struct word_array {
    struct word *words;
    size_t count, capacity;
};
fathom_status word_array_read(struct word_array *array, const char *text, size_t size,
                              struct error *err); /* in place of what it held */
void word_array_free(struct word_array *array);

/* Of words[0..n) in this order. */
uint64_t words_hash(const struct word *words, size_t n);

#endif
