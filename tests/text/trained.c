#include "trained.h"

#include "harness.h"

const char trained_sample[] =
    "The cat sat on the mat. The dog saw the cat, and the cat ran.\n\n  \"Why?\" said the dog; "
    "because 1234567 is more than 89!\nLetters: s-t-r-a-w-b-e-r-r-y. caf\xc3\xa9 na\xc3\xafve "
    "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 aaaa aaaaaaa bbbb abab ababab\n";

struct tokenizer *trained_with(const char *pretokenizer, const char *text, size_t size,
                               int32_t vocab, struct pool *pool) {
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    const struct bpe_train_options options = {.vocab_size = vocab};
    CHECK_OK(bpe_trainer_new(&trainer, pretokenizer, pool, &err), &err);
    CHECK_OK(bpe_trainer_add(trainer, text, size, &err), &err);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
    bpe_trainer_free(trainer);
    return t;
}

struct tokenizer *trained_on(const char *text, size_t size, int32_t vocab, struct pool *pool) {
    return trained_with("deepseek-v3", text, size, vocab, pool);
}

struct tokenizer *trained_on_sample(int32_t vocab) {
    return trained_on(trained_sample, strlen(trained_sample), vocab, NULL);
}

struct token_list trained_encode(const struct tokenizer *t, const char *text, size_t size,
                                 bool parse_added) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(encoder_encode(encoder, text, size, parse_added, &ids, &err), &err);
    encoder_free(encoder);
    return ids;
}
