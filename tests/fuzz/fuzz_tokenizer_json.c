#include <stddef.h>
#include <stdint.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tokenizer that loads must encode and decode any bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tokenizer *t = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text back = {0};
    if (tokenizer_parse(&t, (const char *)data, size, NULL, 0, "fuzz", NULL) != FATHOM_OK) return 0;
    if (encoder_new(&encoder, t, NULL) == FATHOM_OK &&
        encoder_encode(encoder, (const char *)data, size < 256 ? size : 256, true, &ids, NULL) ==
            FATHOM_OK)
        tokenizer_decode(t, ids.ids, ids.count, false, &back, NULL);
    text_free(&back);
    token_list_free(&ids);
    encoder_free(encoder);
    tokenizer_free(t);
    return 0;
}
