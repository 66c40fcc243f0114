#include "text/bpe_train.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_data.h"

static const char *const leading_tokens[] = {"<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>",
                                             "<｜▁pad▁｜>"};
static const char *const trailing_tokens[] = {"<｜User｜>", "<｜Assistant｜>", "<think>",
                                              "</think>"};
enum {
    LEADING = sizeof leading_tokens / sizeof leading_tokens[0],
    TRAILING = sizeof trailing_tokens / sizeof trailing_tokens[0],
};

/* A distinct word: its symbols, merged as training goes on. */
struct word {
    size_t begin;   /* into trainer->symbols */
    uint32_t count; /* symbols left */
    uint32_t bytes;
    int64_t times;
};

/* A pair of neighbours, with the words that had it when it was counted (some no longer do). */
struct pair {
    uint64_t key; /* left << 32 | right */
    int64_t times;
    uint32_t *words;
    uint32_t word_count, word_capacity;
};

/* A candidate of the heap, as the pair was when it was pushed. */
struct heap_entry {
    int64_t times;
    uint64_t key;
};

/* A byte or a merged token: its bytes in trainer->token_text. */
struct made_token {
    size_t begin, size;
};

struct bpe_trainer {
    struct text bytes; /* distinct words' bytes */
    struct word *words;
    size_t word_count, word_capacity;
    uint32_t *word_slots; /* open addressing by bytes; UINT32_MAX: empty */
    size_t word_mask;
    int32_t *symbols;
    struct pair *pairs;
    size_t pair_count, pair_capacity;
    uint32_t *pair_slots; /* open addressing by key */
    size_t pair_mask;
    struct heap_entry *heap;
    size_t heap_count, heap_capacity;
    struct merge *merges;
    size_t merge_count, merge_capacity;
    struct text token_text;
    struct made_token *tokens; /* [token_count] from id LEADING on: bytes, then merged ones */
    size_t token_count, token_capacity;
    uint32_t *token_slots; /* open addressing by bytes */
    size_t token_mask;
};

/* ---- tables ---- */

static fathom_status slots_new(uint32_t **slots, size_t size, struct error *err) {
    TRY(mem_new_raw((void **)slots, size, sizeof **slots, "training a tokenizer", err));
    memset(*slots, 0xff, size * sizeof **slots);
    return FATHOM_OK;
}

static fathom_status array_reserve(void **array, size_t count, size_t *capacity, size_t size,
                                   struct error *err) {
    if (count < *capacity) return FATHOM_OK;
    size_t grown = *capacity ? 2 * *capacity : 1024;
    TRY(mem_grow(array, count, grown, size, "training a tokenizer", err));
    *capacity = grown;
    return FATHOM_OK;
}

fathom_status bpe_trainer_new(struct bpe_trainer **out, struct error *err) {
    struct bpe_trainer *t = NULL;
    *out = NULL;
    TRY(MEM_NEW(&t, 1, "training a tokenizer", err));
    t->word_mask = t->pair_mask = 4095;
    fathom_status status = slots_new(&t->word_slots, t->word_mask + 1, err);
    if (status == FATHOM_OK) status = slots_new(&t->pair_slots, t->pair_mask + 1, err);
    if (status != FATHOM_OK)
        bpe_trainer_free(t);
    else
        *out = t;
    return status;
}

void bpe_trainer_free(struct bpe_trainer *t) {
    if (!t) return;
    for (size_t i = 0; i < t->pair_count; i++) mem_free(t->pairs[i].words);
    text_free(&t->bytes);
    mem_free(t->words);
    mem_free(t->word_slots);
    mem_free(t->symbols);
    mem_free(t->pairs);
    mem_free(t->pair_slots);
    mem_free(t->heap);
    mem_free(t->merges);
    text_free(&t->token_text);
    mem_free(t->tokens);
    mem_free(t->token_slots);
    mem_free(t);
}

/* ---- counting words ---- */

static size_t word_slot(const struct bpe_trainer *t, const char *bytes, size_t size) {
    size_t at = (size_t)hash_bytes(bytes, size) & t->word_mask;
    for (; t->word_slots[at] != UINT32_MAX; at = (at + 1) & t->word_mask) {
        const struct word *w = &t->words[t->word_slots[at]];
        if (w->bytes == size && memcmp(text_data(&t->bytes) + w->begin, bytes, size) == 0) break;
    }
    return at;
}

static fathom_status words_rehash(struct bpe_trainer *t, struct error *err) {
    if (2 * t->word_count < t->word_mask) return FATHOM_OK;
    mem_free(t->word_slots);
    t->word_slots = NULL;
    t->word_mask = 4 * (t->word_mask + 1) - 1;
    TRY(slots_new(&t->word_slots, t->word_mask + 1, err));
    for (size_t i = 0; i < t->word_count; i++) {
        const struct word *w = &t->words[i];
        t->word_slots[word_slot(t, text_data(&t->bytes) + w->begin, w->bytes)] = (uint32_t)i;
    }
    return FATHOM_OK;
}

static fathom_status add_word(struct bpe_trainer *t, const char *bytes, size_t size,
                              struct error *err) {
    size_t at = word_slot(t, bytes, size);
    if (t->word_slots[at] != UINT32_MAX) {
        t->words[t->word_slots[at]].times++;
        return FATHOM_OK;
    }
    if (t->word_count >= UINT32_MAX - 1) RAISE(FATHOM_UNSUPPORTED, "too many different words");
    TRY(array_reserve((void **)&t->words, t->word_count, &t->word_capacity, sizeof *t->words, err));
    t->words[t->word_count] =
        (struct word){.begin = t->bytes.size, .bytes = (uint32_t)size, .times = 1};
    t->word_slots[at] = (uint32_t)t->word_count++;
    text_append(&t->bytes, bytes, size);
    TRY(text_check(&t->bytes, err));
    return words_rehash(t, err);
}

fathom_status bpe_trainer_add(struct bpe_trainer *t, const char *text, size_t size,
                              struct error *err) {
    struct pretokenizer p;
    size_t begin = 0, end = 0;
    pretokenizer_start(&p, PRETOKENIZER_DEEPSEEK_V3, text, size);
    while (pretokenizer_next(&p, &begin, &end)) {
        /* A run longer than any token: counted in parts, so that one page of dashes is bounded. */
        for (size_t at = begin; at < end; at += TOKEN_MAX_BYTES) {
            size_t part = end - at < TOKEN_MAX_BYTES ? end - at : TOKEN_MAX_BYTES;
            TRY(add_word(t, text + at, part, err));
        }
    }
    return FATHOM_OK;
}

/* ---- pairs ---- */

static size_t pair_slot(const struct bpe_trainer *t, uint64_t key) {
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h ^ h >> 32) & t->pair_mask;
    while (t->pair_slots[at] != UINT32_MAX && t->pairs[t->pair_slots[at]].key != key)
        at = (at + 1) & t->pair_mask;
    return at;
}

static fathom_status pairs_rehash(struct bpe_trainer *t, struct error *err) {
    if (2 * t->pair_count < t->pair_mask) return FATHOM_OK;
    mem_free(t->pair_slots);
    t->pair_slots = NULL;
    t->pair_mask = 4 * (t->pair_mask + 1) - 1;
    TRY(slots_new(&t->pair_slots, t->pair_mask + 1, err));
    for (size_t i = 0; i < t->pair_count; i++)
        t->pair_slots[pair_slot(t, t->pairs[i].key)] = (uint32_t)i;
    return FATHOM_OK;
}

/* Adds `times` occurrences (negative: takes away) of a pair in a word. */
static fathom_status count_pair(struct bpe_trainer *t, int32_t left, int32_t right, int64_t times,
                                uint32_t word, struct error *err) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t at = pair_slot(t, key);
    if (t->pair_slots[at] == UINT32_MAX) {
        TRY(array_reserve((void **)&t->pairs, t->pair_count, &t->pair_capacity, sizeof *t->pairs,
                          err));
        t->pairs[t->pair_count] = (struct pair){.key = key};
        t->pair_slots[at] = (uint32_t)t->pair_count++;
        TRY(pairs_rehash(t, err));
        at = pair_slot(t, key);
    }
    struct pair *pair = &t->pairs[t->pair_slots[at]];
    pair->times += times;
    bool is_listed = pair->word_count > 0 && pair->words[pair->word_count - 1] == word;
    if (times < 0 || is_listed) return FATHOM_OK;
    if (pair->word_count == pair->word_capacity) {
        uint32_t capacity = pair->word_capacity ? 2 * pair->word_capacity : 4;
        TRY(mem_grow((void **)&pair->words, pair->word_count, capacity, sizeof *pair->words,
                     "training a tokenizer", err));
        pair->word_capacity = capacity;
    }
    pair->words[pair->word_count++] = word;
    return FATHOM_OK;
}

/* ---- heap: most frequent first, then the lower ids ---- */

static bool comes_first(const struct heap_entry *a, const struct heap_entry *b) {
    return a->times != b->times ? a->times > b->times : a->key < b->key;
}

static fathom_status heap_push(struct bpe_trainer *t, struct heap_entry entry, struct error *err) {
    TRY(array_reserve((void **)&t->heap, t->heap_count, &t->heap_capacity, sizeof *t->heap, err));
    size_t at = t->heap_count++;
    while (at > 0 && comes_first(&entry, &t->heap[(at - 1) / 2])) {
        t->heap[at] = t->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    t->heap[at] = entry;
    return FATHOM_OK;
}

static struct heap_entry heap_pop(struct bpe_trainer *t) {
    struct heap_entry top = t->heap[0], last = t->heap[--t->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= t->heap_count) break;
        if (child + 1 < t->heap_count && comes_first(&t->heap[child + 1], &t->heap[child])) child++;
        if (!comes_first(&t->heap[child], &last)) break;
        t->heap[at] = t->heap[child];
        at = child;
    }
    if (t->heap_count > 0) t->heap[at] = last;
    return top;
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
        TRY(array_reserve((void **)&t->tokens, t->token_count, &t->token_capacity,
                          sizeof *t->tokens, err));
        t->tokens[t->token_count] = (struct made_token){t->token_text.size, size};
        t->token_slots[at] = (uint32_t)t->token_count++;
        text_append(&t->token_text, bytes, size);
        TRY(text_check(&t->token_text, err));
    }
    *id = LEADING + (int32_t)t->token_slots[at];
    return FATHOM_OK;
}

/* The 256 bytes in the order of their characters: the printable ones first, as in published
 * vocabularies. */
static fathom_status start_tokens(struct bpe_trainer *t, int64_t wanted, int32_t id_of[256],
                                  struct error *err) {
    size_t size = 1024;
    while (size < 2 * (size_t)(wanted + 256)) size *= 2;
    t->token_mask = size - 1;
    TRY(slots_new(&t->token_slots, size, err));
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

static fathom_status start_symbols(struct bpe_trainer *t, int64_t wanted, struct error *err) {
    int32_t id_of[256];
    TRY(start_tokens(t, wanted, id_of, err));
    TRY(MEM_NEW(&t->symbols, t->bytes.size, "training a tokenizer", err));
    for (size_t i = 0; i < t->bytes.size; i++)
        t->symbols[i] = id_of[(unsigned char)t->bytes.data[i]];
    for (size_t i = 0; i < t->word_count; i++) {
        struct word *w = &t->words[i];
        w->count = w->bytes;
        const int32_t *s = t->symbols + w->begin;
        for (uint32_t j = 0; j + 1 < w->count; j++)
            TRY(count_pair(t, s[j], s[j + 1], w->times, (uint32_t)i, err));
    }
    for (size_t i = 0; i < t->pair_count; i++)
        TRY(heap_push(t, (struct heap_entry){t->pairs[i].times, t->pairs[i].key}, err));
    return FATHOM_OK;
}

/* Counts a pair that has just appeared, and makes it a candidate. */
static fathom_status pair_appears(struct bpe_trainer *t, int32_t left, int32_t right, int64_t times,
                                  uint32_t word, struct error *err) {
    TRY(count_pair(t, left, right, times, word, err));
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    return heap_push(t, (struct heap_entry){t->pairs[t->pair_slots[pair_slot(t, key)]].times, key},
                     err);
}

/* Replaces (left, right) by `id` in a word, left to right. The neighbours' pairs change with it. */
static fathom_status merge_word(struct bpe_trainer *t, uint32_t index, int32_t left, int32_t right,
                                int32_t id, struct error *err) {
    struct word *w = &t->words[index];
    int32_t *s = t->symbols + w->begin;
    uint32_t to = 0;
    for (uint32_t from = 0; from < w->count;) {
        bool is_match = from + 1 < w->count && s[from] == left && s[from + 1] == right;
        if (!is_match) {
            s[to++] = s[from++];
            continue;
        }
        if (to > 0) {
            TRY(count_pair(t, s[to - 1], left, -w->times, index, err));
            TRY(pair_appears(t, s[to - 1], id, w->times, index, err));
        }
        if (from + 2 < w->count) {
            TRY(count_pair(t, right, s[from + 2], -w->times, index, err));
            TRY(pair_appears(t, id, s[from + 2], w->times, index, err));
        }
        s[to++] = id;
        from += 2;
    }
    w->count = to;
    return FATHOM_OK;
}

/* In "aaa" overlapping occurrences make the running counts approximate: a popped pair is counted
 * again from its words, which is exact. */
static int64_t recount(const struct bpe_trainer *t, const struct pair *pair) {
    int32_t left = (int32_t)(pair->key >> 32), right = (int32_t)(uint32_t)pair->key;
    int64_t times = 0;
    uint32_t previous = UINT32_MAX;
    for (uint32_t i = 0; i < pair->word_count; i++) {
        const struct word *w = &t->words[pair->words[i]];
        const int32_t *s = t->symbols + w->begin;
        if (pair->words[i] == previous) continue;
        previous = pair->words[i];
        for (uint32_t j = 0; j + 1 < w->count; j++)
            if (s[j] == left && s[j + 1] == right) times += w->times;
    }
    return times;
}

static fathom_status merge_pair(struct bpe_trainer *t, size_t pair_index, int32_t id,
                                struct error *err) {
    uint64_t key = t->pairs[pair_index].key;
    int32_t left = (int32_t)(key >> 32), right = (int32_t)(uint32_t)key;
    uint32_t *words = t->pairs[pair_index].words;
    uint32_t count = t->pairs[pair_index].word_count;
    t->pairs[pair_index].words = NULL; /* merging appends to other pairs' lists, and moves them */
    t->pairs[pair_index].word_count = t->pairs[pair_index].word_capacity = 0;
    t->pairs[pair_index].times = 0;
    fathom_status status = FATHOM_OK;
    for (uint32_t i = 0; i < count && status == FATHOM_OK; i++)
        status = merge_word(t, words[i], left, right, id, err);
    mem_free(words);
    return status;
}

/* The next pair to merge: popped entries that are stale or inexact go back corrected. */
static fathom_status next_pair(struct bpe_trainer *t, int64_t least, size_t *index, bool *found,
                               struct error *err) {
    *found = false;
    while (t->heap_count > 0) {
        struct heap_entry top = heap_pop(t);
        *index = t->pair_slots[pair_slot(t, top.key)];
        struct pair *pair = &t->pairs[*index];
        if (top.times == pair->times) {
            int64_t exact = recount(t, pair);
            *found = exact == pair->times && exact >= least;
            if (*found) return FATHOM_OK;
            if (exact == pair->times) return FATHOM_OK; /* the best is too rare */
            pair->times = exact;
        } else if (pair->times > top.times) {
            continue; /* a better entry of the pair has been pushed */
        }
        if (pair->times >= least) TRY(heap_push(t, (struct heap_entry){pair->times, top.key}, err));
    }
    return FATHOM_OK;
}

/* Merges until there are `wanted` tokens beside the bytes, or nothing is left to merge. */
static fathom_status run_merges(struct bpe_trainer *t, const struct bpe_train_options *o,
                                int64_t wanted, struct error *err) {
    int64_t least = o->minimum_count > 1 ? o->minimum_count : 1;
    while ((int64_t)t->token_count - 256 < wanted) {
        size_t index = 0;
        bool found = false;
        TRY(next_pair(t, least, &index, &found, err));
        if (!found) break;
        uint64_t key = t->pairs[index].key;
        struct merge m = {.left = (int32_t)(key >> 32), .right = (int32_t)(uint32_t)key};
        TRY(join_tokens(t, &m, err));
        TRY(array_reserve((void **)&t->merges, t->merge_count, &t->merge_capacity,
                          sizeof *t->merges, err));
        t->merges[t->merge_count++] = m;
        TRY(merge_pair(t, index, m.result, err));
        if (o->progress && t->merge_count % 64 == 0 &&
            !o->progress(o->progress_arg, (int64_t)t->token_count - 256, wanted))
            RAISE(FATHOM_INTERRUPTED, "stopped; nothing was written");
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
    for (int i = 0; i < LEADING; i++) TRY(set_added(t, i, leading_tokens[i], true, err));
    TRY(set_made(t, trainer, err));
    for (int i = 0; i < TRAILING; i++) {
        bool is_special = strncmp(trailing_tokens[i], "<｜", strlen("<｜")) == 0;
        TRY(set_added(t, id++, trailing_tokens[i], is_special, err));
    }
    for (size_t i = 0; i < o->extra_count; i++) TRY(set_added(t, id++, o->extra[i], true, err));
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
    *out = NULL;
    if (wanted < 0)
        RAISE(FATHOM_USAGE,
              "a vocabulary of %d is too small: bytes and special tokens alone take %lld",
              o->vocab_size, (long long)fixed);
    if (t->word_count == 0) RAISE(FATHOM_BAD_INPUT, "no text to train a tokenizer on");
    TRY(start_symbols(t, wanted, err));
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
