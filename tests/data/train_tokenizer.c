#include "train_tokenizer.h"

#include "data/reader.h"
#include "harness.h"

struct tokenizer *train_tokenizer_with(const char *path, int32_t vocab_size,
                                       const char *const *special, size_t count) {
    struct bpe_trainer *trainer;
    struct tokenizer *tokenizer;
    struct doc_reader *reader;
    struct document document;
    struct error err;
    bool is_end;
    const struct bpe_train_options options = {
        .vocab_size = vocab_size, .extra = special, .extra_count = count};
    CHECK_OK(bpe_trainer_new(&trainer, "deepseek-v3", NULL, &err), &err);
    CHECK_OK(doc_reader_open(&reader, &path, 1, NULL, &err), &err);
    for (;;) {
        CHECK_OK(doc_reader_next(reader, &document, &is_end, &err), &err);
        if (is_end) break;
        CHECK_OK(bpe_trainer_add(trainer, document.bytes, document.size, &err), &err);
    }
    doc_reader_close(reader);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &tokenizer, &err), &err);
    bpe_trainer_free(trainer);
    return tokenizer;
}

struct tokenizer *train_tokenizer(const char *path, int32_t vocab_size) {
    return train_tokenizer_with(path, vocab_size, NULL, 0);
}
