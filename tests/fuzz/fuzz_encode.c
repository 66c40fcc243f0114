#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/bpe_train.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Trains on the first half, then encodes all of it: the bytes must come back. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct bpe_train_options options = {.vocab_size = 270};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text back = {0};
    if (bpe_trainer_new(&trainer, NULL, NULL) == FATHOM_OK &&
        bpe_trainer_add(trainer, (const char *)data, size / 2, NULL) == FATHOM_OK &&
        bpe_trainer_finish(trainer, &options, &t, NULL) == FATHOM_OK &&
        encoder_new(&encoder, t, NULL) == FATHOM_OK &&
        encoder_encode(encoder, (const char *)data, size, false, &ids, NULL) == FATHOM_OK &&
        tokenizer_decode(t, ids.ids, ids.count, false, &back, NULL) == FATHOM_OK &&
        (back.size != size || memcmp(text_data(&back), data, size) != 0))
        abort();
    text_free(&back);
    token_list_free(&ids);
    encoder_free(encoder);
    tokenizer_free(t);
    bpe_trainer_free(trainer);
    return 0;
}
