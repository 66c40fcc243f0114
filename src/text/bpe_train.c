#include "text/bpe_train.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/bpe_words.h"
#include "text/pair_counts.h"
#include "text/tokenizer_data.h"

static const char *const leading_tokens[] = {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
                                             "<｜▁pad▁｜>"};
static const char *const trailing_tokens[] = {"<｜User｜>", "<｜Assistant｜>", "<think>",
                                              "</think>"};
enum {
    LEADING = sizeof leading_tokens / sizeof leading_tokens[0],
    TRAILING = sizeof trailing_tokens / sizeof trailing_tokens[0],
};

/* A distinct word as symbols, merged as training goes on. */
struct word {
    size_t begin;   /* into trainer->symbols */
    uint32_t count; /* symbols left */
    int64_t times;
};

/* A byte or a merged token: its bytes in trainer->token_text. */
struct made_token {
    size_t begin, size;
};

struct bpe_trainer {
    struct pretokenizer *pretokenizer; /* the tokenizer's, once it is made */
    struct bpe_words *counted;
    struct word *words;
    size_t word_count;
    int32_t *symbols;
    struct pair_counts pairs;
    struct merge *merges;
    size_t merge_count, merge_capacity;
    struct text token_text;
    struct made_token *tokens; /* [token_count], ids from LEADING on: bytes, then merged ones */
    size_t token_count;
    uint32_t *token_slots; /* open addressing by bytes; UINT32_MAX: empty */
    size_t token_mask;
};

fathom_status bpe_trainer_new(struct bpe_trainer **out, const char *pretokenizer, struct pool *pool,
                              struct error *err) {
    struct bpe_trainer *t = NULL;
    *out = NULL;
    TRY(MEM_NEW(&t, 1, "training a tokenizer", err));
    fathom_status status = pretokenizer_named(&t->pretokenizer, pretokenizer, err);
    if (status == FATHOM_OK) status = bpe_words_new(&t->counted, t->pretokenizer, pool, err);
    if (status != FATHOM_OK)
        bpe_trainer_free(t);
    else
        *out = t;
    return status;
}

void bpe_trainer_free(struct bpe_trainer *t) {
    if (!t) return;
    bpe_words_free(t->counted);
    pretokenizer_free(t->pretokenizer);
    mem_free(t->words);
    mem_free(t->symbols);
    pair_counts_free(&t->pairs);
    mem_free(t->merges);
    text_free(&t->token_text);
    mem_free(t->tokens);
    mem_free(t->token_slots);
    mem_free(t);
}

fathom_status bpe_trainer_add(struct bpe_trainer *t, const char *text, size_t size,
                              struct error *err) {
    return bpe_words_add(t->counted, text, size, err);
}

/* ---- tokens ---- */

/* Slot of the token with these bytes, or the empty one where it belongs. */
static size_t token_slot(const struct bpe_trainer *t, const char *bytes, size_t size) {
    size_t at = (size_t)hash_bytes(bytes, size) & t->token_mask;
    for (; t->token_slots[at] != UINT32_MAX; at = (at + 1) & t->token_mask) {
        const struct made_token *token = &t->tokens[t->token_slots[at]];
        if (token->size == size &&
            memcmp(text_data(&t->token_text) + token->begin, bytes, size) == 0)
            break;
    }
    return at;
}

/* The id of the token with these bytes, made if need be: two pairs can join to one text. */
static fathom_status token_make(struct bpe_trainer *t, const char *bytes, size_t size, int32_t *id,
                                struct error *err) {
    size_t at = token_slot(t, bytes, size);
    if (t->token_slots[at] == UINT32_MAX) {
        t->tokens[t->token_count] = (struct made_token){t->token_text.size, size};
        text_append(&t->token_text, bytes, size);
        TRY(text_check(&t->token_text, err));
        t->token_slots[at] = (uint32_t)t->token_count++;
    }
    *id = LEADING + (int32_t)t->token_slots[at];
    return FATHOM_OK;
}

/* Room for `wanted` tokens beside the 256 bytes, which are made here in the order of their
 * characters: the printable ones first, as in published vocabularies. */
static fathom_status start_tokens(struct bpe_trainer *t, int64_t wanted, int32_t id_of[256],
                                  struct error *err) {
    size_t count = (size_t)wanted + 256, size = 1024;
    while (size < 2 * count) size *= 2;
    TRY(MEM_NEW(&t->tokens, count, "training a tokenizer", err));
    TRY(mem_new_raw((void **)&t->token_slots, size, sizeof *t->token_slots, "training a tokenizer",
                    err));
    memset(t->token_slots, 0xff, size * sizeof *t->token_slots);
    t->token_mask = size - 1;
    for (uint32_t code = 0; t->token_count < 256; code++) {
        int byte = character_to_byte(code);
        char c = (char)byte;
        if (byte >= 0) TRY(token_make(t, &c, 1, &id_of[byte], err));
    }
    return FATHOM_OK;
}

static fathom_status join_tokens(struct bpe_trainer *t, struct merge *m, struct error *err) {
    struct text joined = {0};
    const int32_t parts[] = {m->left, m->right};
    for (int i = 0; i < 2; i++) {
        const struct made_token *token = &t->tokens[parts[i] - LEADING];
        text_append(&joined, text_data(&t->token_text) + token->begin, token->size);
    }
    fathom_status status = text_check(&joined, err);
    if (status == FATHOM_OK) status = token_make(t, joined.data, joined.size, &m->result, err);
    text_free(&joined);
    return status;
}

/* ---- merging ---- */

static fathom_status start_words(struct bpe_trainer *t, const struct word_counts *counts,
                                 const int32_t id_of[256], struct error *err) {
    TRY(MEM_NEW(&t->words, counts->count, "training a tokenizer", err));
    TRY(MEM_NEW(&t->symbols, counts->bytes.size, "training a tokenizer", err));
    t->word_count = counts->count;
    for (size_t i = 0; i < counts->bytes.size; i++)
        t->symbols[i] = id_of[(unsigned char)counts->bytes.data[i]];
    for (size_t i = 0; i < t->word_count; i++) {
        const struct counted_word *from = &counts->words[i];
        const int32_t *s = t->symbols + from->begin;
        t->words[i] = (struct word){from->begin, from->size, from->times};
        for (uint32_t j = 0; j + 1 < from->size; j++)
            TRY(pair_counts_gain(&t->pairs, s[j], s[j + 1], from->times, (uint32_t)i, err));
    }
    return pair_counts_settle(&t->pairs, err);
}

/* Replaces the pair by `id` in a word, left to right. The neighbours' pairs change with it; in
 * "aaa" they may be the merged pair itself. */
static fathom_status merge_word(struct bpe_trainer *t, uint32_t index, const struct merge *m,
                                struct error *err) {
    struct word *w = &t->words[index];
    int32_t *s = t->symbols + w->begin;
    uint32_t to = 0;
    for (uint32_t from = 0; from < w->count;) {
        bool is_match = from + 1 < w->count && s[from] == m->left && s[from + 1] == m->right;
        if (!is_match) {
            s[to++] = s[from++];
            continue;
        }
        pair_counts_lose(&t->pairs, m->left, m->right, w->times);
        if (to > 0) {
            pair_counts_lose(&t->pairs, s[to - 1], m->left, w->times);
            TRY(pair_counts_gain(&t->pairs, s[to - 1], m->result, w->times, index, err));
        }
        if (from + 2 < w->count) {
            pair_counts_lose(&t->pairs, m->right, s[from + 2], w->times);
            TRY(pair_counts_gain(&t->pairs, m->result, s[from + 2], w->times, index, err));
        }
        s[to++] = m->result;
        from += 2;
    }
    w->count = to;
    return FATHOM_OK;
}

static fathom_status merge_pair(struct bpe_trainer *t, struct token_pair *pair, struct error *err) {
    struct merge m = {.left = (int32_t)(pair->key >> 32), .right = (int32_t)(uint32_t)pair->key};
    TRY(join_tokens(t, &m, err));
    if (t->merge_count == t->merge_capacity) {
        size_t capacity = t->merge_capacity ? 2 * t->merge_capacity : 1024;
        TRY(mem_grow((void **)&t->merges, t->merge_count, capacity, sizeof *t->merges,
                     "training a tokenizer", err));
        t->merge_capacity = capacity;
    }
    if (!pair->is_merged) t->merges[t->merge_count++] = m;
    pair->is_merged = true;

    uint32_t *words = pair->words; /* the list moves when pairs are added, and starts anew */
    uint32_t count = pair->word_count;
    pair->words = NULL;
    pair->word_count = pair->word_capacity = 0;
    fathom_status status = FATHOM_OK;
    for (uint32_t i = 0; i < count && status == FATHOM_OK; i++)
        status = merge_word(t, words[i], &m, err);
    mem_free(words);
    TRY(status);
    return pair_counts_settle(&t->pairs, err);
}

/* Merges until there are `wanted` tokens beside the bytes, or nothing is left to merge. */
static fathom_status run_merges(struct bpe_trainer *t, const struct bpe_train_options *o,
                                int64_t wanted, struct error *err) {
    int64_t least = o->minimum_count > 1 ? o->minimum_count : 1;
    for (int64_t made = 0; made < wanted; made = (int64_t)t->token_count - 256) {
        struct token_pair *best = NULL;
        TRY(pair_counts_best(&t->pairs, least, &best, err));
        if (!best) break;
        TRY(merge_pair(t, best, err));
        if (o->progress && t->merge_count % 64 == 0 && !o->progress(o->progress_arg, made, wanted))
            RAISE(FATHOM_INTERRUPTED, "stopped; nothing was written");
    }
    return FATHOM_OK;
}

/* ---- special tokens ---- */

static bool is_valid_utf8(const char *text, size_t size) {
    uint32_t code = 0;
    for (size_t at = 0; at < size;) {
        int length = utf8_decode((const unsigned char *)text + at, size - at, &code);
        if (length == 0) return false;
        at += (size_t)length;
    }
    return true;
}

/* Whether an ordinary token could have this spelling in tokenizer.json: one piece of a text in
 * byte-level characters. Its key would then stand there twice. */
static fathom_status could_be_ordinary(const struct bpe_trainer *t, const char *text, bool *could,
                                       struct error *err) {
    struct text bytes = {0};
    struct cutter *cutter = NULL;
    struct piece piece = {0};
    *could = false;
    if (!token_unspell(text, strlen(text), &bytes)) {
        text_free(&bytes);
        return FATHOM_OK;
    }
    fathom_status status = text_check(&bytes, err);
    if (status == FATHOM_OK) status = cutter_new(&cutter, t->pretokenizer, err);
    if (status == FATHOM_OK) status = cutter_start(cutter, text_data(&bytes), bytes.size, err);
    if (status == FATHOM_OK) status = cutter_next(cutter, &piece, err);
    *could = piece.size == bytes.size;
    cutter_free(cutter);
    text_free(&bytes);
    return status;
}

static bool is_among(const char *text, const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, list[i]) == 0) return true;
    return false;
}

fathom_status bpe_trainer_check_special(const struct bpe_trainer *t, const char *const *extra,
                                        size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        bool could = false;
        size_t size = strlen(extra[i]);
        if (size == 0 || size > TOKEN_MAX_BYTES || !is_valid_utf8(extra[i], size))
            RAISE(FATHOM_USAGE, "special token \"%s\" is not UTF-8 text of 1 to %d bytes", extra[i],
                  TOKEN_MAX_BYTES);
        if (is_among(extra[i], extra, i) || is_among(extra[i], leading_tokens, LEADING) ||
            is_among(extra[i], trailing_tokens, TRAILING))
            RAISE(FATHOM_USAGE, "special token \"%s\" is there already", extra[i]);
        TRY(could_be_ordinary(t, extra[i], &could, err));
        if (could)
            RAISE(FATHOM_USAGE,
                  "special token \"%s\" could be an ordinary token too; name it like <%s>",
                  extra[i], extra[i]);
    }
    return FATHOM_OK;
}

/* ---- the result ---- */

static fathom_status set_added(struct tokenizer *t, int32_t id, const char *text, bool is_special,
                               struct error *err) {
    unsigned flags = TOKEN_ADDED | (is_special ? TOKEN_SPECIAL : TOKEN_NORMALIZED);
    return tokenizer_set_token(t, id, text, strlen(text), flags, "the new tokenizer", err);
}

static fathom_status set_made(struct tokenizer *t, const struct bpe_trainer *trainer,
                              struct error *err) {
    for (size_t i = 0; i < trainer->token_count; i++) {
        const struct made_token *token = &trainer->tokens[i];
        TRY(tokenizer_set_token(t, LEADING + (int32_t)i,
                                text_data(&trainer->token_text) + token->begin, token->size, 0,
                                "the new tokenizer", err));
    }
    return FATHOM_OK;
}

static fathom_status fill_tokenizer(struct tokenizer *t, struct bpe_trainer *trainer,
                                    const struct bpe_train_options *o, struct error *err) {
    int32_t id = LEADING + (int32_t)trainer->token_count;
    t->pretokenizer = trainer->pretokenizer;
    trainer->pretokenizer = NULL;
    for (int i = 0; i < LEADING; i++) TRY(set_added(t, i, leading_tokens[i], true, err));
    TRY(set_made(t, trainer, err));
    for (int i = 0; i < TRAILING; i++) {
        bool is_special = strncmp(trailing_tokens[i], "<｜", strlen("<｜")) == 0;
        TRY(set_added(t, id++, trailing_tokens[i], is_special, err));
    }
    for (size_t i = 0; i < o->extra_count; i++) TRY(set_added(t, id++, o->extra[i], true, err));
    TRY(tokenizer_set_byte_level(t, err));
    t->bos = 0;
    t->eos = 1;
    TRY(tokenizer_index(t, "the new tokenizer", err));
    t->merges = trainer->merges;
    t->merge_count = trainer->merge_count;
    trainer->merges = NULL;
    return tokenizer_finish(t, "the new tokenizer", err);
}

fathom_status bpe_trainer_finish(struct bpe_trainer *t, const struct bpe_train_options *o,
                                 struct tokenizer **out, struct error *err) {
    int64_t fixed = LEADING + 256 + TRAILING + (int64_t)o->extra_count;
    int64_t wanted = o->vocab_size - fixed;
    const struct word_counts *counts = NULL;
    int32_t id_of[256];
    *out = NULL;
    if (wanted < 0 || o->vocab_size > TOKENIZER_MAX_VOCAB)
        RAISE(FATHOM_USAGE,
              "a vocabulary of %d is not in [%lld, %d]: bytes and special tokens alone take %lld",
              o->vocab_size, (long long)fixed, TOKENIZER_MAX_VOCAB, (long long)fixed);
    TRY(bpe_trainer_check_special(t, o->extra, o->extra_count, err));
    TRY(bpe_words_finish(t->counted, &counts, err));
    if (counts->count == 0) RAISE(FATHOM_BAD_INPUT, "no text to train a tokenizer on");
    TRY(start_tokens(t, wanted, id_of, err));
    TRY(start_words(t, counts, id_of, err));
    TRY(run_merges(t, o, wanted, err));
    int64_t made = (int64_t)t->token_count - 256;
    if (made < wanted)
        RAISE(FATHOM_BAD_INPUT,
              "the text supports a vocabulary of at most %lld, not %d: ask for less or give more "
              "text",
              (long long)(fixed + made), o->vocab_size);
    TRY(tokenizer_new(out, o->vocab_size, err));
    fathom_status status = fill_tokenizer(*out, t, o, err);
    if (status != FATHOM_OK) {
        tokenizer_free(*out);
        *out = NULL;
    }
    return status;
}
