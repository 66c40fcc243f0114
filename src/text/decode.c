#include <string.h>

#include "text/tokenizer_data.h"

static fathom_status token_text(const struct tokenizer *t, int32_t id, const char **bytes,
                                size_t *size, struct error *err) {
    *bytes = tokenizer_token_bytes(t, id, size);
    if (*size > 0) return FATHOM_OK;
    RAISE(FATHOM_BAD_INPUT, "token %d is not in the vocabulary of %d", id, t->vocab_size);
}

enum { DECODE_BLOCK = 1024 }; /* tokens whose room is found at once */

/* Appends a token; there is room for TOKEN_SLACK bytes more than the block's tokens have. Most are
 * short: all of those take one copy of a fixed size. */
static void put_token(struct text *out, const char *bytes, size_t size) {
    if (size <= TOKEN_SLACK)
        memcpy(out->data + out->size, bytes, TOKEN_SLACK);
    else
        memcpy(out->data + out->size, bytes, size);
    out->size += size;
}

static fathom_status decode_block(const struct tokenizer *t, const int32_t *ids, size_t count,
                                  bool skip_special, struct text *out, struct error *err) {
    const char *bytes = NULL;
    size_t size = 0, room = TOKEN_SLACK;
    for (size_t i = 0; i < count; i++) {
        TRY(token_text(t, ids[i], &bytes, &size, err));
        room += size;
    }
    if (!text_reserve(out, room)) return text_check(out, err);
    for (size_t i = 0; i < count; i++) {
        if (skip_special && (t->flags[ids[i]] & TOKEN_SPECIAL)) continue;
        put_token(out, t->bytes.data + t->offset[ids[i]], t->length[ids[i]]);
    }
    out->data[out->size] = 0;
    return FATHOM_OK;
}

fathom_status tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t count,
                               bool skip_special, struct text *out, struct error *err) {
    for (size_t at = 0; at < count; at += DECODE_BLOCK) {
        size_t block = count - at < DECODE_BLOCK ? count - at : DECODE_BLOCK;
        TRY(decode_block(t, ids + at, block, skip_special, out, err));
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
