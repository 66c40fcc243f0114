#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A tokenizer that loads must encode any bytes, and decode them to what they were. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct tokenizer *t = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text back = {0};
    size_t part = size < 256 ? size : 256;
    /* As tokenizer.json, and as tokenizer_config.json beside it. */
    if (tokenizer_parse(&t, text, size, text, size, "fuzz", NULL) != FATHOM_OK) return 0;
    if (encoder_new(&encoder, t, NULL) != FATHOM_OK ||
        encoder_encode(encoder, text, part, true, &ids, NULL) != FATHOM_OK ||
        tokenizer_decode(t, ids.ids, ids.count, false, &back, NULL) != FATHOM_OK ||
        back.size != part || (part > 0 && memcmp(back.data, text, part) != 0))
        abort();
    text_free(&back);
    token_list_free(&ids);
    encoder_free(encoder);
    tokenizer_free(t);
    return 0;
}
