/* The texts of the needle evaluation: stories with a fact at a given depth and the question about
 * it at the end, as many tokens as asked.
 *
 * Haystack and facts of a trial are pure functions of (seed, trial); a longer text continues a
 * shorter one and another depth moves the fact alone, so that sessions keep what they share. */
#ifndef EVAL_NEEDLE_TEXT_H
#define EVAL_NEEDLE_TEXT_H

#include "text/tokenizer.h"

struct needle_text;
fathom_status needle_text_new(struct needle_text **out, const struct tokenizer *tokenizer,
                              struct error *err);
void needle_text_free(struct needle_text *text); /* accepts NULL */

struct needle_trial {
    uint64_t seed, number;
    int64_t length; /* tokens, the question and its answer included */
    int64_t others; /* further facts, at random depths; less than FACT_MOST of data/facts.h */
};
/* Collects the haystack of a trial. FATHOM_USAGE when the length has no room for the facts and the
 * question. */
fathom_status needle_text_begin(struct needle_text *text, const struct needle_trial *trial,
                                struct error *err);
/* Replaces *tokens by the text up to the answer, with the fact behind `depth` percent of the
 * haystack. */
fathom_status needle_text_tokens(struct needle_text *text, int64_t depth, struct token_list *tokens,
                                 struct error *err);
/* What follows from the text, such as " 48."; until the next trial begins. */
const char *needle_text_answer(const struct needle_text *text);

#endif
