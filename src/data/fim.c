#include "data/fim.h"

#include <string.h>

static const char *const families[][3] = {
    /* begin, hole, end */
    {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},
    {"<|fim_begin|>", "<|fim_hole|>", "<|fim_end|>"},
    {"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"}, /* Qwen2.5 */
};

fathom_status fim_init(struct fim *fim, const struct tokenizer *tokenizer, double rate,
                       double spm_share, struct error *err) {
    *fim = (struct fim){.rate = rate, .spm_share = spm_share};
    if (!(rate >= 0 && rate <= 1 && spm_share >= 0 && spm_share <= 1))
        RAISE(FATHOM_USAGE, "fill in the middle: a rate of %g with %g of it SPM: not in [0, 1]",
              rate, spm_share);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        int32_t ids[3];
        for (int k = 0; k < 3; k++)
            ids[k] = tokenizer_find(tokenizer, families[i][k], strlen(families[i][k]));
        if (ids[0] < 0 || ids[1] < 0 || ids[2] < 0) continue;
        fim->begin = ids[0];
        fim->hole = ids[1];
        fim->end = ids[2];
        return FATHOM_OK;
    }
    RAISE(FATHOM_BAD_INPUT,
          "the tokenizer has no tokens for filling in the middle, such as %s, %s and %s",
          families[0][0], families[0][1], families[0][2]);
}

const char *document_form_name(enum document_form form) {
    static const char *const names[FORMS] = {"plain", "psm", "spm"};
    return names[form];
}

enum document_form fim_choose(const struct fim *fim, struct rng *rng) {
    if (rng_next_uniform(rng) >= fim->rate) return FORM_PLAIN;
    return rng_next_uniform(rng) < fim->spm_share ? FORM_SPM : FORM_PSM;
}

/* The next place that does not cut a character; a byte that is no UTF-8 is one. */
static size_t between_characters(const char *text, size_t size, size_t at) {
    for (int i = 0; i < 3 && at < size && ((unsigned char)text[at] & 0xc0) == 0x80; i++) at++;
    return at;
}

fathom_status fim_encode(const struct fim *fim, enum document_form form, struct rng *rng,
                         struct encoder *encoder, const char *text, size_t size,
                         struct token_list *out, struct error *err) {
    const bool is_spm = form == FORM_SPM;
    size_t a = between_characters(text, size, rng_next_below(rng, size + 1));
    size_t b = between_characters(text, size, rng_next_below(rng, size + 1));
    size_t from = a < b ? a : b, to = a < b ? b : a;
    TRY(token_list_add(out, fim->begin, err));
    if (!is_spm) TRY(encoder_encode(encoder, text, from, false, out, err));
    TRY(token_list_add(out, fim->hole, err));
    TRY(encoder_encode(encoder, text + to, size - to, false, out, err));
    TRY(token_list_add(out, fim->end, err));
    size_t begin = is_spm ? 0 : from;
    return encoder_encode(encoder, text + begin, to - begin, false, out, err);
}
