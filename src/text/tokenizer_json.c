/* Reading tokenizer.json and tokenizer_config.json. What cannot be represented is refused by name:
 * a wrong tokenization is worse than none. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_data.h"

#define TOKENIZER_MAX_FILE ((size_t)1 << 30)

struct source {
    const char *what;
    struct error *err;
};

/* ---- parts that must be as we encode ---- */

static fathom_status check_model(const json_node *model, const struct source *s) {
    struct error *err = s->err;
    const char *type = "BPE"; /* older files leave it out */
    TRY(json_get_string(model, "type", &type, s->what, err));
    if (strcmp(type, "BPE") != 0)
        RAISE(FATHOM_UNSUPPORTED, "%s: a model of type \"%s\"; only byte-level BPE is known",
              s->what, type);
    static const char *const texts[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    static const char *const flags[] = {"fuse_unk", "byte_fallback"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (*json_string(json_member(model, texts[i]), NULL))
            RAISE(FATHOM_UNSUPPORTED, "%s: model.%s is \"%s\", which is not known here", s->what,
                  texts[i], json_string(json_member(model, texts[i]), NULL));
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (json_bool(json_member(model, flags[i])))
            RAISE(FATHOM_UNSUPPORTED, "%s: model.%s is true, which is not known here", s->what,
                  flags[i]);
    if (json_real(json_member(model, "dropout")) != 0)
        RAISE(FATHOM_UNSUPPORTED, "%s: model.dropout is %g, but encoding here is never random",
              s->what, json_real(json_member(model, "dropout")));
    return FATHOM_OK;
}

/* ---- tokens ---- */

static fathom_status largest_id(const json_node *node, int64_t *largest, const struct source *s) {
    struct error *err = s->err;
    if (!json_is_integer(node) || json_integer(node) < 0 ||
        json_integer(node) >= TOKENIZER_MAX_VOCAB)
        RAISE(FATHOM_BAD_INPUT, "%s: a token id is not an integer in [0, %d)", s->what,
              TOKENIZER_MAX_VOCAB);
    if (json_integer(node) > *largest) *largest = json_integer(node);
    return FATHOM_OK;
}

static fathom_status count_ids(const json_node *vocab, const json_node *added, int64_t *count,
                               const struct source *s) {
    const char *key = NULL;
    json_node *value = NULL;
    void *iterator = NULL;
    int64_t largest = -1;
    while (json_next_member(vocab, &iterator, &key, &value)) TRY(largest_id(value, &largest, s));
    for (size_t i = 0; i < json_count(added); i++)
        TRY(largest_id(json_member(json_element(added, i), "id"), &largest, s));
    *count = largest + 1;
    return FATHOM_OK;
}

static fathom_status read_vocab(struct tokenizer *t, const json_node *vocab, struct text *bytes,
                                const struct source *s) {
    struct error *err = s->err;
    const char *key = NULL;
    json_node *value = NULL;
    void *iterator = NULL;
    while (json_next_member(vocab, &iterator, &key, &value)) {
        int32_t id = (int32_t)json_integer(value);
        if (t->flags[id] & TOKEN_ADDED) continue; /* the added token's own spelling counts */
        if (!token_unspell(key, strlen(key), bytes))
            RAISE(FATHOM_UNSUPPORTED,
                  "%s: token %d, \"%s\", is not spelled in byte-level characters", s->what, id,
                  key);
        TRY(text_check(bytes, err));
        TRY(tokenizer_set_token(t, id, text_data(bytes), bytes->size, 0, s->what, err));
    }
    return FATHOM_OK;
}

/* Hugging Face's tokenizers ignore the id in the file: an added token has the vocabulary's id, or
 * where it is not there the next one that is free. Files where the two differ are refused. */
static fathom_status check_added_id(const json_node *vocab, const char *text, int32_t id,
                                    int64_t *next, const struct source *s) {
    struct error *err = s->err;
    const json_node *known = json_member(vocab, text);
    int64_t expected = known ? json_integer(known) : *next;
    if (id != expected)
        RAISE(FATHOM_BAD_INPUT,
              "%s: added token \"%s\" has id %d, but its place in the vocabulary is %lld", s->what,
              text, id, (long long)expected);
    if (id >= *next) *next = (int64_t)id + 1;
    return FATHOM_OK;
}

static fathom_status read_added_one(struct tokenizer *t, const json_node *token,
                                    const struct source *s) {
    static const struct {
        const char *key;
        unsigned flag;
    } keys[] = {{"special", TOKEN_SPECIAL},
                {"normalized", TOKEN_NORMALIZED},
                {"lstrip", TOKEN_LSTRIP},
                {"rstrip", TOKEN_RSTRIP},
                {"single_word", TOKEN_SINGLE_WORD}};
    unsigned flags = TOKEN_ADDED;
    size_t size = 0;
    const char *text = json_string(json_member(token, "content"), &size);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool is_set = false;
        TRY(json_get_bool(token, keys[i].key, &is_set, s->what, s->err));
        if (is_set) flags |= keys[i].flag;
    }
    return tokenizer_set_token(t, (int32_t)json_integer(json_member(token, "id")), text, size,
                               flags, s->what, s->err);
}

static fathom_status read_added(struct tokenizer *t, const json_node *added, const json_node *vocab,
                                const struct source *s) {
    int64_t next = (int64_t)json_count(vocab);
    for (size_t i = 0; i < json_count(added); i++) {
        const json_node *token = json_element(added, i);
        const char *text = NULL;
        TRY(json_need_string(token, "content", &text, s->what, s->err));
        int32_t id = (int32_t)json_integer(json_member(token, "id"));
        TRY(check_added_id(vocab, text, id, &next, s));
        TRY(read_added_one(t, token, s));
    }
    return FATHOM_OK;
}

/* ---- merges ---- */

/* "a b" (the spelling of characters has no blank) or ["a", "b"]. */
static bool merge_parts(const json_node *node, const char **left, size_t *left_size,
                        const char **right, size_t *right_size) {
    if (json_is_array(node)) {
        *left = json_string(json_element(node, 0), left_size);
        *right = json_string(json_element(node, 1), right_size);
        return json_count(node) == 2 && *left_size > 0 && *right_size > 0;
    }
    size_t size = 0;
    const char *text = json_string(node, &size);
    const char *blank = memchr(text, ' ', size);
    if (!blank) return false;
    *left = text;
    *left_size = (size_t)(blank - text);
    *right = blank + 1;
    *right_size = size - *left_size - 1;
    return *left_size > 0 && *right_size > 0;
}

static fathom_status bad_merge(const json_node *node, size_t rank, const char *why,
                               const struct source *s) {
    struct error *err = s->err;
    RAISE(FATHOM_BAD_INPUT, "%s: merge %zu, \"%s\", %s", s->what, rank, json_string(node, NULL),
          why);
}

static fathom_status read_merge(struct tokenizer *t, const json_node *node, size_t rank,
                                struct merge_texts *texts, const struct source *s) {
    const char *left = NULL, *right = NULL;
    size_t left_size = 0, right_size = 0;
    if (!merge_parts(node, &left, &left_size, &right, &right_size) ||
        !token_unspell(left, left_size, &texts->left) ||
        !token_unspell(right, right_size, &texts->right))
        return bad_merge(node, rank, "is not a pair of byte-level tokens", s);
    TRY(text_check(&texts->left, s->err));
    TRY(text_check(&texts->right, s->err));
    TRY(tokenizer_make_merge(t, texts, &t->merges[rank], s->err));
    if (t->merges[rank].result < 0)
        return bad_merge(node, rank, "joins or makes a token that is not in the vocabulary", s);
    return FATHOM_OK;
}

static fathom_status read_merges(struct tokenizer *t, const json_node *merges,
                                 const struct source *s) {
    struct merge_texts texts = {0};
    fathom_status status = FATHOM_OK;
    TRY(MEM_NEW(&t->merges, json_count(merges), "the merges", s->err));
    t->merge_count = json_count(merges);
    for (size_t i = 0; i < t->merge_count && status == FATHOM_OK; i++)
        status = read_merge(t, json_element(merges, i), i, &texts, s);
    text_free(&texts.left);
    text_free(&texts.right);
    return status;
}

/* ---- tokenizer_config.json ---- */

/* bos_token and its kin: a string, an object with "content", or nothing. */
static fathom_status named_token(const struct tokenizer *t, const json_node *config,
                                 const char *key, int32_t *id, const struct source *s) {
    struct error *err = s->err;
    const json_node *node = json_member(config, key);
    if (json_is_object(node)) node = json_member(node, "content");
    size_t size = 0;
    const char *text = json_string(node, &size);
    *id = size > 0 ? tokenizer_find(t, text, size) : -1;
    if (size > 0 && *id < 0)
        RAISE(FATHOM_BAD_INPUT,
              "%s: its tokenizer_config.json names the %s \"%s\", which is no token", s->what, key,
              text);
    return FATHOM_OK;
}

static fathom_status read_config(struct tokenizer *t, const char *text, size_t size,
                                 const struct source *s) {
    json_node *config = NULL;
    TRY(json_parse(&config, text, size, "tokenizer_config.json", s->err));
    const json_node *chat = json_member(config, "chat_template");
    fathom_status status = named_token(t, config, "bos_token", &t->bos, s);
    if (status == FATHOM_OK) status = named_token(t, config, "eos_token", &t->eos, s);
    if (status == FATHOM_OK && json_is_string(chat))
        status = string_copy(&t->chat_template, json_string(chat, NULL), s->err);
    json_free(config);
    return status;
}

/* ---- the whole ---- */

/* The tokens and what cuts, merges and decodes them, into a tokenizer of their number. */
static fathom_status read_parts(struct tokenizer *t, const json_node *root,
                                const struct source *s) {
    struct error *err = s->err;
    const json_node *model = json_member(root, "model");
    const json_node *vocab = json_member(model, "vocab");
    struct text bytes = {0};
    TRY(json_get_bool(model, "ignore_merges", &t->ignore_merges, s->what, err));
    TRY(normalizer_parse(&t->normalizer, json_member(root, "normalizer"), s->what, err));
    TRY(pretokenizer_parse(&t->pretokenizer, json_member(root, "pre_tokenizer"), s->what, err));
    TRY(tokenizer_read_decoder(t, json_member(root, "decoder"), s->what, err));
    TRY(read_added(t, json_member(root, "added_tokens"), vocab, s));
    fathom_status status = read_vocab(t, vocab, &bytes, s);
    text_free(&bytes);
    TRY(status);
    TRY(tokenizer_index(t, s->what, err));
    TRY(read_merges(t, json_member(model, "merges"), s));
    TRY(tokenizer_read_post_processor(t, json_member(root, "post_processor"), s->what, err));
    return tokenizer_finish(t, s->what, err);
}

static fathom_status read_root(struct tokenizer **out, const json_node *root,
                               const struct source *s) {
    struct error *err = s->err;
    const json_node *model = json_member(root, "model");
    const json_node *vocab = json_member(model, "vocab");
    int64_t count = 0;
    TRY(check_model(model, s));
    if (!json_is_object(vocab) || !json_is_array(json_member(model, "merges")))
        RAISE(FATHOM_BAD_INPUT,
              "%s: model.vocab or model.merges is missing; is it a BPE tokenizer?", s->what);
    TRY(count_ids(vocab, json_member(root, "added_tokens"), &count, s));
    TRY(tokenizer_new(out, (int32_t)count, err));
    return read_parts(*out, root, s);
}

fathom_status tokenizer_parse(struct tokenizer **out, const char *json, size_t json_size,
                              const char *config, size_t config_size, const char *what,
                              struct error *err) {
    const struct source source = {what, err};
    json_node *root = NULL;
    *out = NULL;
    TRY(json_parse(&root, json, json_size, what, err));
    fathom_status status = read_root(out, root, &source);
    json_free(root);
    if (status == FATHOM_OK && config) status = read_config(*out, config, config_size, &source);
    if (status != FATHOM_OK) {
        tokenizer_free(*out);
        *out = NULL;
    }
    return status;
}

fathom_status tokenizer_open(struct tokenizer **out, const char *directory, struct error *err) {
    char *json_path = NULL, *config_path = NULL, *json = NULL, *config = NULL;
    size_t json_size = 0, config_size = 0;
    *out = NULL;
    fathom_status status = path_join(&json_path, directory, "tokenizer.json", err);
    if (status == FATHOM_OK)
        status = path_join(&config_path, directory, "tokenizer_config.json", err);
    if (status == FATHOM_OK)
        status = file_read(json_path, TOKENIZER_MAX_FILE, &json, &json_size, err);
    if (status == FATHOM_OK && path_exists(config_path))
        status = file_read(config_path, TOKENIZER_MAX_FILE, &config, &config_size, err);
    if (status == FATHOM_OK)
        status = tokenizer_parse(out, json, json_size, config, config_size, json_path, err);
    mem_free(json_path);
    mem_free(config_path);
    mem_free(json);
    mem_free(config);
    return status;
}
