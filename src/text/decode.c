#include <string.h>

#include "text/tokenizer_data.h"

static fathom_status token_text(const struct tokenizer *t, int32_t id, const char **bytes,
                                size_t *size, struct error *err) {
    *bytes = tokenizer_token_bytes(t, id, size);
    if (*size > 0) return FATHOM_OK;
    RAISE(FATHOM_BAD_INPUT, "token %d is not in the vocabulary of %d", id, t->vocab_size);
}

fathom_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count,
                               bool skip_special, struct text *out, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        const char *bytes = NULL;
        size_t size = 0;
        TRY(token_text(t, ids[i], &bytes, &size, err));
        if (!(skip_special && tokenizer_is_special(t, ids[i]))) text_append(out, bytes, size);
    }
    return text_check(out, err);
}

/* Sends what cannot become a longer character, keeps the rest (at most 3 bytes). */
static void decoder_byte(struct stream_decoder *d, unsigned char byte, struct text *out) {
    d->held[d->held_count++] = byte;
    while (d->held_count > 0) {
        uint32_t code = 0;
        if (utf8_is_prefix(d->held, d->held_count)) return;
        int length = utf8_decode(d->held, d->held_count, &code);
        size_t sent = length > 0 ? (size_t)length : 1;
        text_append(out, d->held, sent);
        d->held_count -= sent;
        memmove(d->held, d->held + sent, d->held_count);
    }
}

fathom_status stream_decoder_put(struct stream_decoder *d, const struct tokenizer *t, int32_t id,
                                 bool skip_special, struct text *out, struct error *err) {
    const char *bytes = NULL;
    size_t size = 0;
    TRY(token_text(t, id, &bytes, &size, err));
    if (skip_special && tokenizer_is_special(t, id)) return FATHOM_OK;
    for (size_t i = 0; i < size; i++) decoder_byte(d, (unsigned char)bytes[i], out);
    return text_check(out, err);
}

void stream_decoder_end(struct stream_decoder *d, struct text *out) {
    text_append(out, d->held, d->held_count);
    d->held_count = 0;
}
