#include "trained.h"

#include "base/memory.h"
#include "harness.h"
#include "text/tokenizer_data.h"

const char trained_sample[] =
    "The cat sat on the mat. The dog saw the cat, and the cat ran.\n\n  \"Why?\" said the dog; "
    "because 1234567 is more than 89!\nLetters: s-t-r-a-w-b-e-r-r-y. caf\xc3\xa9 na\xc3\xafve "
    "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 aaaa aaaaaaa bbbb abab ababab\n";

struct tokenizer *trained_with(const char *pretokenizer, const char *text, size_t size,
                               int32_t vocab, struct pool *pool) {
    struct error err = {0};
    struct bpe_trainer *trainer = NULL;
    struct tokenizer *t = NULL;
    const struct bpe_train_options options = {.vocab_size = vocab};
    CHECK_OK(bpe_trainer_new(&trainer, pretokenizer, pool, &err), &err);
    CHECK_OK(bpe_trainer_add(trainer, text, size, &err), &err);
    CHECK_OK(bpe_trainer_finish(trainer, &options, &t, &err), &err);
    bpe_trainer_free(trainer);
    return t;
}

struct tokenizer *trained_on(const char *text, size_t size, int32_t vocab, struct pool *pool) {
    return trained_with("deepseek-v3", text, size, vocab, pool);
}

struct tokenizer *trained_on_sample(int32_t vocab) {
    return trained_on(trained_sample, strlen(trained_sample), vocab, NULL);
}

struct token_list trained_encode(const struct tokenizer *t, const char *text, size_t size,
                                 bool parse_added) {
    struct error err = {0};
    struct encoder *encoder = NULL;
    struct token_list ids = {0};
    CHECK_OK(encoder_new(&encoder, t, &err), &err);
    CHECK_OK(encoder_encode(encoder, text, size, parse_added, &ids, &err), &err);
    encoder_free(encoder);
    return ids;
}

void trained_byte_tokens(const char **tokens, size_t *sizes, const char *const *others,
                         size_t count) {
    for (size_t id = 0; id < 256 + count; id++) {
        struct text text = {0};
        const char byte = (char)id;
        if (id < 256)
            token_spell(&byte, 1, &text);
        else
            text_append_string(&text, others[id - 256]);
        tokens[id] = harness_keep(text.data);
        sizes[id] = text.size;
    }
}

/* A string that the test keeps: a token's bytes, or their byte-level spelling. */
static const char *spelled(const struct tokenizer *t, int32_t id, bool is_plain, size_t *size) {
    struct text text = {0};
    size_t length = 0;
    const char *bytes = tokenizer_token_bytes(t, id, &length);
    if (is_plain)
        text_append(&text, bytes, length);
    else
        token_spell(bytes, length, &text);
    *size = text.size;
    return text.data ? harness_keep(text.data) : "";
}

static const char *spelled_merge(const struct tokenizer *t, const struct merge *merge) {
    size_t left_size, right_size;
    struct text text = {0};
    const char *left = spelled(t, merge->left, false, &left_size);
    const char *right = spelled(t, merge->right, false, &right_size);
    text_printf(&text, "%s %s", left, right);
    return harness_keep(text.data);
}

struct tokenizer *trained_through_arrays(const struct tokenizer *t, const char *pre) {
    struct error err = {0};
    struct tokenizer *made = NULL;
    const size_t count = (size_t)t->vocab_size;
    const char **tokens = NULL, **merges = NULL;
    size_t *sizes = NULL;
    int32_t *types = NULL;
    CHECK_OK(MEM_NEW(&tokens, count, "t", &err), &err);
    CHECK_OK(MEM_NEW(&sizes, count, "t", &err), &err);
    CHECK_OK(MEM_NEW(&types, count, "t", &err), &err);
    CHECK_OK(MEM_NEW(&merges, t->merge_count, "t", &err), &err);
    for (int32_t id = 0; id < t->vocab_size; id++) {
        const unsigned flags = t->flags[id];
        types[id] = !(flags & TOKEN_EXISTS) ? GGUF_TOKEN_UNUSED
                    : flags & TOKEN_SPECIAL ? GGUF_TOKEN_CONTROL
                    : flags & TOKEN_ADDED   ? GGUF_TOKEN_USER_DEFINED
                                            : GGUF_TOKEN_NORMAL;
        tokens[id] = spelled(t, id, flags & TOKEN_ADDED, &sizes[id]);
    }
    for (size_t i = 0; i < t->merge_count; i++) merges[i] = spelled_merge(t, &t->merges[i]);
    const struct tokenizer_arrays arrays = {
        .count = t->vocab_size,
        .tokens = tokens,
        .sizes = sizes,
        .types = types,
        .merge_count = t->merge_count,
        .merges = merges,
        .pre = pre,
        .bos = t->bos,
        .eos = t->eos,
        .adds_bos = t->bos >= 0,
    };
    CHECK_OK(tokenizer_from_arrays(&made, &arrays, "arrays", &err), &err);
    mem_free(tokens);
    mem_free(sizes);
    mem_free(types);
    mem_free(merges);
    return made;
}
