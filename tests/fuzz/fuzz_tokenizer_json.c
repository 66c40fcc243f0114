#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition) {
    if (!condition) abort();
}

/* Whether nothing in the tokenizer changes, adds or removes text. */
static bool keeps_text(const struct tokenizer *t) {
    const char *steps = pretokenizer_json(t->pretokenizer);
    if (t->normalizer || strstr(steps, "Removed") || strstr(steps, "\"add_prefix_space\": true"))
        return false;
    for (int32_t id = 0; id < t->vocab_size; id++)
        if (t->flags[id] & (TOKEN_LSTRIP | TOKEN_RSTRIP)) return false;
    return true;
}

/* A tokenizer that loads must encode any bytes, unless its pattern takes too long, and decode them
 * to what they were, unless it says that it changes them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    struct tokenizer *t = NULL;
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    struct text back = {0};
    size_t part = size < 256 ? size : 256;
    /* As tokenizer.json, and as tokenizer_config.json beside it. */
    if (tokenizer_parse(&t, text, size, text, size, "fuzz", NULL) != FATHOM_OK) return 0;
    expect(encoder_new(&encoder, t, NULL) == FATHOM_OK);
    fathom_status status = encoder_encode(encoder, text, part, true, &ids, NULL);
    expect(status == FATHOM_OK || status == FATHOM_UNSUPPORTED);
    if (status == FATHOM_OK) {
        expect(tokenizer_decode(t, ids.ids, ids.count, false, &back, NULL) == FATHOM_OK);
        if (keeps_text(t))
            expect(back.size == part && (part == 0 || memcmp(back.data, text, part) == 0));
    }
    text_free(&back);
    token_list_free(&ids);
    encoder_free(encoder);
    tokenizer_free(t);
    return 0;
}
