/* Training of a byte-level BPE tokenizer.
 *
 * Words are counted first, document by document; then the most frequent pair of neighbouring tokens
 * is merged until the vocabulary is full. Ties: the pair with the lower left id, then the lower
 * right id. The result depends on the multiset of documents alone: not on their order, and not on
 * the number of threads.
 *
 * Ids follow DeepSeek-V3's file: the begin, end and pad tokens, the 256 bytes in the order of their
 * characters, the merges, and at the end the added tokens <|User|>, <|Assistant|> (with full-width
 * bars), <think>, </think> and any that the caller names. */
#ifndef TEXT_BPE_TRAIN_H
#define TEXT_BPE_TRAIN_H

#include "base/pool.h"
#include "text/tokenizer.h"

struct bpe_trainer;

struct bpe_train_options {
    int32_t vocab_size; /* all ids: specials, bytes, merges, added tokens */
    /* More special tokens. Each must be valid UTF-8, a new one, and such that the pre-tokenizer
     * cuts it (<name> does), so that no ordinary token can have its spelling. */
    const char *const *extra;
    size_t extra_count;
    int64_t minimum_count; /* pairs rarer than this are not merged; 0 counts as 1 */
    /* Called now and then while merging; NULL: silent. Returning false stops with
     * FATHOM_INTERRUPTED. */
    bool (*progress)(void *arg, int64_t done, int64_t total);
    void *progress_arg;
};

/* With the published pre-tokenizer of this name (pretokenizer_named). Words are counted on the
 * pool, which outlives the trainer; NULL: on the calling thread. */
fathom_status bpe_trainer_new(struct bpe_trainer **out, const char *pretokenizer, struct pool *pool,
                              struct error *err);
void bpe_trainer_free(struct bpe_trainer *trainer); /* accepts NULL */
/* Counts the words of a document, which is copied where it has to wait. After a failure here or in
 * finish the trainer can only be freed. */
fathom_status bpe_trainer_add(struct bpe_trainer *trainer, const char *text, size_t size,
                              struct error *err);
/* Once, after the last document. FATHOM_BAD_INPUT, with the largest possible size in the text, when
 * the documents do not support the vocabulary asked for. */
fathom_status bpe_trainer_finish(struct bpe_trainer *trainer,
                                 const struct bpe_train_options *options, struct tokenizer **out,
                                 struct error *err);
/* Whether finish would take these special tokens: for callers that want to know before reading. */
fathom_status bpe_trainer_check_special(const struct bpe_trainer *trainer, const char *const *extra,
                                        size_t count, struct error *err);

#endif
