/* Needle in a haystack: a fact somewhere in a long text, a question about it at the end, the greedy
 * answer compared character by character. The facts are of the held-out split (data/facts.h). */
#ifndef EVAL_NEEDLE_H
#define EVAL_NEEDLE_H

#include "base/log.h"
#include "model/model.h"
#include "text/tokenizer.h"

struct needle_options {
    const int64_t *lengths, *depths; /* tokens; percent of the haystack before the fact */
    size_t length_count, depth_count;
    int64_t trials, others; /* per place; further facts in the text */
    uint64_t seed;
    struct log *log; /* of the progress */
};

/* Who answers: gives the most likely token after tokens[0..count). */
struct needle_reader {
    fathom_status (*next)(void *arg, const int32_t *tokens, int64_t count, int32_t *id,
                          struct error *err);
    void *arg;
};

/* right [length_count, depth_count] gets how many of the trials were answered right.
 * FATHOM_INTERRUPTED on a signal. */
fathom_status needle_measure(int64_t *right, const struct needle_options *options,
                             const struct tokenizer *tokenizer, const struct needle_reader *reader,
                             struct error *err);
/* The same, read by a model. FATHOM_USAGE when a length exceeds its positions. */
fathom_status needle_measure_model(int64_t *right, const struct needle_options *options,
                                   const struct tokenizer *tokenizer, const struct model *model,
                                   struct error *err);

#endif
