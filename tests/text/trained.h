/* What the tests of tokenizers share: a small text, tokenizers trained on it, encoding in one call.
 */
#ifndef TESTS_TEXT_TRAINED_H
#define TESTS_TEXT_TRAINED_H

#include "base/pool.h"
#include "text/bpe_train.h"

/* Words, numbers, punctuation, accents, Chinese, an emoji and runs of a letter. */
extern const char trained_sample[];

/* A tokenizer of `vocab` ids trained on one document; failure ends the test. */
struct tokenizer *trained_on(const char *text, size_t size, int32_t vocab, struct pool *pool);
/* The same with the pre-tokenizer of that name; trained_on has deepseek-v3's. */
struct tokenizer *trained_with(const char *pretokenizer, const char *text, size_t size,
                               int32_t vocab, struct pool *pool);
struct tokenizer *trained_on_sample(int32_t vocab);
/* The ids of a text; failure ends the test. token_list_free. */
struct token_list trained_encode(const struct tokenizer *t, const char *text, size_t size,
                                 bool parse_added);
/* tokens[256 + count] and sizes: the bytes in their spelling, and then the others. */
void trained_byte_tokens(const char **tokens, size_t *sizes, const char *const *others,
                         size_t count);
/* The tokenizer that comes of its arrays, as they are written into GGUF files, with pre-tokenizer
 * `pre`; a bos is added before texts. */
struct tokenizer *trained_through_arrays(const struct tokenizer *t, const char *pre);

#endif
