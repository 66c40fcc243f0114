/* Training of a byte-level BPE tokenizer.
 *
 * Words are counted first, document by document; then the most frequent pair of neighbouring tokens
 * is merged until the vocabulary is full. Ties: the pair with the lower left id, then the lower
 * right id. The result depends on the multiset of documents alone, not on their order.
 *
 * Ids follow DeepSeek-V3's file: the begin, end and pad tokens, the 256 bytes in the order of their
 * characters, the merges, and at the end the added tokens <|User|>, <|Assistant|> (with full-width
 * bars), <think>, </think> and any that the caller names. */
#ifndef TEXT_BPE_TRAIN_H
#define TEXT_BPE_TRAIN_H

#include "text/tokenizer.h"

struct bpe_trainer;

struct bpe_train_options {
    int32_t vocab_size;       /* all ids: specials, bytes, merges, added tokens */
    const char *const *extra; /* more added tokens */
    size_t extra_count;
    int64_t minimum_count; /* pairs rarer than this are not merged; at least 1 */
    /* Called now and then while merging; NULL: silent. Returning false stops with
     * FATHOM_INTERRUPTED. */
    bool (*progress)(void *arg, int64_t done, int64_t total);
    void *progress_arg;
};

fathom_status bpe_trainer_new(struct bpe_trainer **out, struct error *err);
void bpe_trainer_free(struct bpe_trainer *trainer); /* accepts NULL */
/* Counts the words of a document. */
fathom_status bpe_trainer_add(struct bpe_trainer *trainer, const char *text, size_t size,
                              struct error *err);
/* FATHOM_BAD_INPUT, with the largest possible size in the text, when the documents do not support
 * the vocabulary asked for. */
fathom_status bpe_trainer_finish(struct bpe_trainer *trainer,
                                 const struct bpe_train_options *options, struct tokenizer **out,
                                 struct error *err);

#endif
