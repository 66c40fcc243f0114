/* Counts the words of documents on a pool.
 *
 * Documents are cut where pieces part in any case, gathered into batches, and counted by whichever
 * thread claims them, each into its own table. The sum of the tables does not depend on who counted
 * what, only the order of words in it does. A piece longer than any token is counted in parts, so
 * that a page of dashes stays bounded. */
#ifndef TEXT_BPE_WORDS_H
#define TEXT_BPE_WORDS_H

#include "base/pool.h"
#include "text/pretokenizer.h"
#include "text/word_counts.h"

struct bpe_words;

/* pool NULL: the calling thread counts. The pre-tokenizer is borrowed. */
fathom_status bpe_words_new(struct bpe_words **out, const struct pretokenizer *pretokenizer,
                            struct pool *pool, struct error *err);
void bpe_words_free(struct bpe_words *words); /* accepts NULL */
fathom_status bpe_words_add(struct bpe_words *words, const char *text, size_t size,
                            struct error *err);
/* Counts what waits and sums the tables; *counts is borrowed. */
fathom_status bpe_words_finish(struct bpe_words *words, const struct word_counts **counts,
                               struct error *err);

#endif
