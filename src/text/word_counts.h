/* Distinct byte strings with how often each was seen: the words of the texts that a tokenizer is
 * trained on. */
#ifndef TEXT_WORD_COUNTS_H
#define TEXT_WORD_COUNTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

struct counted_word {
    size_t begin; /* into word_counts.bytes */
    uint32_t size;
    int64_t times;
};

/* Zero-initialise; word_counts_free when done. */
struct word_counts {
    struct text bytes; /* the words, one after the other, in order of first appearance */
    struct counted_word *words;
    size_t count, capacity;
    uint32_t *slots; /* open addressing by bytes; UINT32_MAX: empty */
    size_t mask;
};

/* On failure the words so far are unchanged. size < 2^32. */
fathom_status word_counts_add(struct word_counts *counts, const char *bytes, size_t size,
                              int64_t times, struct error *err);
fathom_status word_counts_add_all(struct word_counts *counts, const struct word_counts *from,
                                  struct error *err);
void word_counts_free(struct word_counts *counts);

#endif
