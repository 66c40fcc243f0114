/* Tokenizers from plain arrays, as GGUF files have them. */
#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_data.h"

/* Other names of published pre-tokenizers in GGUF files. */
static const char *published_name(const char *pre) {
    static const char *const names[][2] = {
        {"llama3", "llama-bpe"},
        {"llama-v3", "llama-bpe"},
        {"gpt2", "gpt-2"},
        {"deepseek-r1-qwen", "qwen2"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(pre, names[i][0]) == 0) return names[i][1];
    return pre;
}

/* What the published tokenizer with this pre-tokenizer has besides, and GGUF does not say. */
static fathom_status set_family(struct tokenizer *t, const char *pre, const char *what,
                                struct error *err) {
    static const char nfc[] = "{\"type\": \"NFC\"}";
    const char *name = published_name(pre);
    json_node *node = NULL;
    fathom_status status = pretokenizer_named(&t->pretokenizer, name, err);
    if (status != FATHOM_OK) return error_prefix(err, "%s: tokenizer.ggml.pre", what);
    t->ignore_merges = strcmp(name, "llama-bpe") == 0;
    if (strcmp(name, "qwen2") != 0) return FATHOM_OK;
    TRY(json_parse(&node, nfc, strlen(nfc), what, err));
    status = normalizer_parse(&t->normalizer, node, what, err);
    json_free(node);
    return status;
}

static fathom_status set_token(struct tokenizer *t, const struct tokenizer_arrays *a, int32_t id,
                               struct text *bytes, const char *what, struct error *err) {
    switch (a->types ? a->types[id] : GGUF_TOKEN_NORMAL) {
    case GGUF_TOKEN_NORMAL:
        if (!token_unspell(a->tokens[id], a->sizes[id], bytes))
            RAISE(FATHOM_UNSUPPORTED,
                  "%s: token %d, \"%.*s\", is not spelled in byte-level characters", what, id,
                  (int)a->sizes[id], a->tokens[id]);
        TRY(text_check(bytes, err));
        return tokenizer_set_token(t, id, text_data(bytes), bytes->size, 0, what, err);
    case GGUF_TOKEN_CONTROL:
        return tokenizer_set_token(t, id, a->tokens[id], a->sizes[id], TOKEN_ADDED | TOKEN_SPECIAL,
                                   what, err);
    case GGUF_TOKEN_USER_DEFINED:
        return tokenizer_set_token(t, id, a->tokens[id], a->sizes[id], TOKEN_ADDED, what, err);
    case GGUF_TOKEN_UNUSED: return FATHOM_OK;
    default:
        RAISE(FATHOM_UNSUPPORTED, "%s: token %d is of type %d, which byte-level BPE has not", what,
              id, a->types[id]);
    }
}

static fathom_status set_tokens(struct tokenizer *t, const struct tokenizer_arrays *a,
                                const char *what, struct error *err) {
    struct text bytes = {0};
    fathom_status status = FATHOM_OK;
    for (int32_t id = 0; id < a->count && status == FATHOM_OK; id++)
        status = set_token(t, a, id, &bytes, what, err);
    text_free(&bytes);
    TRY(status);
    return tokenizer_index(t, what, err);
}

/* "left right": neither holds a space, which is spelled as another character. */
static fathom_status set_merge(struct tokenizer *t, const char *merge, size_t rank,
                               struct merge_texts *texts, const char *what, struct error *err) {
    const char *space = strchr(merge, ' ');
    struct merge *m = &t->merges[rank];
    if (!space || !token_unspell(merge, (size_t)(space - merge), &texts->left) ||
        !token_unspell(space + 1, strlen(space + 1), &texts->right))
        RAISE(FATHOM_BAD_INPUT, "%s: merge %zu, \"%.100s\", is not a pair of byte-level tokens",
              what, rank, merge);
    TRY(text_check(&texts->left, err));
    TRY(text_check(&texts->right, err));
    TRY(tokenizer_make_merge(t, texts, m, err));
    if (m->result < 0)
        RAISE(FATHOM_BAD_INPUT,
              "%s: merge %zu, \"%.100s\", joins or makes a token that is not in the vocabulary",
              what, rank, merge);
    return FATHOM_OK;
}

static fathom_status set_merges(struct tokenizer *t, const struct tokenizer_arrays *a,
                                const char *what, struct error *err) {
    struct merge_texts texts = {0};
    fathom_status status = FATHOM_OK;
    TRY(MEM_NEW(&t->merges, a->merge_count, "the merges", err));
    t->merge_count = a->merge_count;
    for (size_t i = 0; i < a->merge_count && status == FATHOM_OK; i++)
        status = set_merge(t, a->merges[i], i, &texts, what, err);
    text_free(&texts.left);
    text_free(&texts.right);
    return status;
}

static fathom_status check_id(const struct tokenizer *t, int32_t id, bool is_needed,
                              const char *name, const char *what, struct error *err) {
    size_t size = 0;
    if (id < -1 || id >= t->vocab_size)
        RAISE(FATHOM_BAD_INPUT, "%s: its %s is token %d in a vocabulary of %d", what, name, id,
              t->vocab_size);
    if (id >= 0) tokenizer_token_bytes(t, id, &size);
    if (is_needed && size == 0)
        RAISE(FATHOM_BAD_INPUT, "%s: it adds its %s, but there is none", what, name);
    return FATHOM_OK;
}

static fathom_status set_ends(struct tokenizer *t, const struct tokenizer_arrays *a,
                              const char *what, struct error *err) {
    TRY(check_id(t, a->bos, a->adds_bos, "bos", what, err));
    TRY(check_id(t, a->eos, a->adds_eos, "eos", what, err));
    t->bos = a->bos;
    t->eos = a->eos;
    TRY(tokenizer_set_byte_level(t, err));
    if (a->adds_bos || a->adds_eos)
        TRY(tokenizer_set_affixes(t, a->adds_bos ? a->bos : -1, a->adds_eos ? a->eos : -1, what,
                                  err));
    return a->chat_template ? string_copy(&t->chat_template, a->chat_template, err) : FATHOM_OK;
}

fathom_status tokenizer_from_arrays(struct tokenizer **out, const struct tokenizer_arrays *a,
                                    const char *what, struct error *err) {
    struct tokenizer *t = NULL;
    *out = NULL;
    if (a->count < 1 || a->count > TOKENIZER_MAX_VOCAB)
        RAISE(FATHOM_BAD_INPUT, "%s: a vocabulary of %d is not in [1, %d]", what, a->count,
              TOKENIZER_MAX_VOCAB);
    TRY(tokenizer_new(&t, a->count, err));
    fathom_status status = set_family(t, a->pre, what, err);
    if (status == FATHOM_OK) status = set_tokens(t, a, what, err);
    if (status == FATHOM_OK) status = set_merges(t, a, what, err);
    if (status == FATHOM_OK) status = set_ends(t, a, what, err);
    if (status == FATHOM_OK) status = tokenizer_finish(t, what, err);
    if (status == FATHOM_OK)
        *out = t;
    else
        tokenizer_free(t);
    return status;
}
