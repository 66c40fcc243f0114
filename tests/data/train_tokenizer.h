/* A tokenizer of the documents of a file, for tests; failure ends the test. */
#ifndef TESTS_DATA_TRAIN_TOKENIZER_H
#define TESTS_DATA_TRAIN_TOKENIZER_H

#include "text/bpe_train.h"

struct tokenizer *train_tokenizer(const char *path, int32_t vocab_size);
/* The same with more special tokens. */
struct tokenizer *train_tokenizer_with(const char *path, int32_t vocab_size,
                                       const char *const *special, size_t count);

#endif
