#include "data/token_split.h"

#include "base/memory.h"
#include "text/unicode.h"

struct token_split {
    double rate;
    int32_t vocab_size;
    int64_t count;
    /* Of token id: parts.ids[begin[id] .. begin[id + 1]), none where it is not to be split. */
    size_t *begin; /* [vocab_size + 1] */
    struct token_list parts;
};

/* Where the line breaks begin in a token that has punctuation or symbols right before them; 0:
 * it has not. */
static size_t combined_at(const char *bytes, size_t size) {
    const unsigned char *text = (const unsigned char *)bytes;
    enum unicode_class last = UNICODE_OTHER;
    for (size_t at = 0; at < size;) {
        uint32_t code = 0;
        int length = utf8_decode(text + at, size - at, &code);
        if (length == 0) return 0;
        if (code == '\n' || code == '\r')
            return last == UNICODE_PUNCTUATION || last == UNICODE_SYMBOL ? at : 0;
        last = unicode_class_of(code);
        at += (size_t)length;
    }
    return 0;
}

static fathom_status fill(struct token_split *s, const struct tokenizer *tokenizer,
                          struct encoder *encoder, struct error *err) {
    for (int32_t id = 0; id < s->vocab_size; id++) {
        size_t size = 0;
        const char *bytes = tokenizer_token_bytes(tokenizer, id, &size);
        size_t at = tokenizer_is_special(tokenizer, id) ? 0 : combined_at(bytes, size);
        s->begin[id] = s->parts.count;
        if (at == 0) continue;
        TRY(encoder_encode(encoder, bytes, at, false, &s->parts, err));
        TRY(encoder_encode(encoder, bytes + at, size - at, false, &s->parts, err));
        s->count++;
    }
    s->begin[s->vocab_size] = s->parts.count;
    return FATHOM_OK;
}

fathom_status token_split_new(struct token_split **out, const struct tokenizer *tokenizer,
                              double rate, struct error *err) {
    struct token_split *s = NULL;
    struct encoder *encoder = NULL;
    *out = NULL;
    if (!(rate >= 0 && rate <= 1))
        RAISE(FATHOM_USAGE, "splitting %g of the tokens: not in [0, 1]", rate);
    TRY(MEM_NEW(&s, 1, "tokens to split", err));
    s->rate = rate;
    s->vocab_size = tokenizer_vocab_size(tokenizer);
    fathom_status status = MEM_NEW(&s->begin, s->vocab_size + 1, "tokens to split", err);
    if (status == FATHOM_OK) status = encoder_new(&encoder, tokenizer, err);
    if (status == FATHOM_OK) status = fill(s, tokenizer, encoder, err);
    encoder_free(encoder);
    if (status == FATHOM_OK)
        *out = s;
    else
        token_split_free(s);
    return status;
}

void token_split_free(struct token_split *s) {
    if (!s) return;
    token_list_free(&s->parts);
    mem_free(s->begin);
    mem_free(s);
}

int64_t token_split_count(const struct token_split *s) { return s->count; }

fathom_status token_split_apply(const struct token_split *s, struct rng *rng,
                                struct token_list *tokens, struct token_list *scratch,
                                struct error *err) {
    scratch->count = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        int32_t id = tokens->ids[i];
        size_t begin = s->begin[id], end = s->begin[id + 1];
        if (begin == end || rng_next_uniform(rng) >= s->rate) {
            TRY(token_list_add(scratch, id, err));
            continue;
        }
        for (size_t k = begin; k < end; k++) TRY(token_list_add(scratch, s->parts.ids[k], err));
    }
    struct token_list rewritten = *scratch;
    *scratch = *tokens;
    *tokens = rewritten;
    return FATHOM_OK;
}
