#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/bpe_train.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *train(const char *text, size_t size, int32_t vocab) {
    const struct bpe_train_options options = {.vocab_size = vocab};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    if (bpe_trainer_new(&trainer, "deepseek-v3", NULL, NULL) == FATHOM_OK &&
        bpe_trainer_add(trainer, text, size, NULL) == FATHOM_OK)
        bpe_trainer_finish(trainer, &options, &t, NULL);
    bpe_trainer_free(trainer);
    return t;
}

static void expect(bool condition) {
    if (!condition) abort();
}

static void expect_text(const struct text *text, const char *bytes, size_t size) {
    expect(text->size == size && (size == 0 || memcmp(text->data, bytes, size) == 0));
}

static void round_trip(const struct tokenizer *t, const char *text, size_t size, bool parse_added) {
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text whole = {0}, streamed = {0};
    struct stream_decoder decoder = {0};
    expect(encoder_new(&encoder, t, NULL) == FATHOM_OK);
    expect(encoder_encode(encoder, text, size, parse_added, &ids, NULL) == FATHOM_OK);
    expect(tokenizer_decode(t, ids.ids, ids.count, false, &whole, NULL) == FATHOM_OK);
    expect_text(&whole, text, size);
    for (size_t i = 0; i < ids.count; i++) {
        expect(stream_decoder_put(&decoder, t, ids.ids[i], false, &streamed, NULL) == FATHOM_OK);
        expect(decoder.held_count <= 3);
    }
    stream_decoder_end(&decoder, &streamed);
    expect_text(&streamed, text, size);
    text_free(&whole);
    text_free(&streamed);
    token_list_free(&ids);
    encoder_free(encoder);
}

/* Trains on the first half, with as many merges as the first byte asks and the text supports; then
 * everything must come back, whole and streamed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    const char *text = (const char *)data;
    struct tokenizer *t = NULL;
    for (int merges = data[0]; !t && merges >= 0; merges = merges > 0 ? merges / 2 : -1)
        t = train(text, size / 2 + 1, 263 + merges);
    expect(t != NULL);
    round_trip(t, text, size, false);
    round_trip(t, text, size, true);
    tokenizer_free(t);
    return 0;
}
