/* Random splitting of tokens that combine punctuation with line breaks.
 *
 * Such tokens (".\n") bias a model at the end of a prompt without a final newline, so DeepSeek-V3
 * splits a share of them in training (report, section 4.1; the share is not published). */
#ifndef DATA_TOKEN_SPLIT_H
#define DATA_TOKEN_SPLIT_H

#include "base/rng.h"
#include "text/tokenizer.h"

struct token_split; /* immutable once made */
/* `rate` of the occurrences is split, before the first line break. */
fathom_status token_split_new(struct token_split **out, const struct tokenizer *tokenizer,
                              double rate, struct error *err);
void token_split_free(struct token_split *split); /* accepts NULL */
/* How many tokens of the vocabulary combine the two. */
int64_t token_split_count(const struct token_split *split);
/* Rewrites the list; `scratch` is the caller's, to be used again. */
fathom_status token_split_apply(const struct token_split *split, struct rng *rng,
                                struct token_list *tokens, struct token_list *scratch,
                                struct error *err);

#endif
