/* BPE of one piece: apply the merge of lowest rank, the leftmost of equals, until none applies.
 * Short pieces scan; long ones keep the candidate merges in a heap, so the time is n log n. Where
 * the result is the same, characters are merged first (characters_first.c). */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "text/tokenizer_data.h"

enum {
    SCAN_BYTES = 3 * BPE_SCAN_LIMIT, /* of a piece that may have no more symbols than that */
    CACHE_SLOTS = 1 << 15,           /* words; direct-mapped */
    CACHE_WORD = 16,                 /* bytes of a word that is cached */
    CACHE_IDS = 11,
};

/* One cache line. Of words of up to 16 bytes, size and two numbers tell which. */
struct cached_word {
    uint64_t first, last;
    uint16_t size; /* bytes; 0: empty */
    uint16_t count;
    int32_t ids[CACHE_IDS];
};
_Static_assert(sizeof(struct cached_word) == 64, "one cache line");

/* A symbol of a long piece: a doubly linked list in an array. */
struct symbol {
    int32_t id; /* -1: merged into its left neighbour */
    int32_t previous, next;
};
/* A candidate: symbols left and its next, as they were when it was found. */
struct candidate {
    int32_t rank, left;
    int32_t left_id, right_id, result;
};

struct encoder {
    const struct tokenizer *tokenizer;
    struct cached_word *cache; /* [CACHE_SLOTS] */
    struct symbol *symbols;
    size_t symbol_capacity;
    struct candidate *heap;
    size_t heap_count, heap_capacity;
    struct cutter *cutter;
    struct normalizer_scratch normalizing;
};

fathom_status encoder_new(struct encoder **out, const struct tokenizer *tokenizer,
                          struct error *err) {
    struct encoder *e = NULL;
    *out = NULL;
    TRY(MEM_NEW(&e, 1, "an encoder", err));
    e->tokenizer = tokenizer;
    fathom_status status = MEM_NEW(&e->cache, CACHE_SLOTS, "an encoder", err);
    if (status == FATHOM_OK) status = cutter_new(&e->cutter, tokenizer->pretokenizer, err);
    if (status != FATHOM_OK)
        encoder_free(e);
    else
        *out = e;
    return status;
}

void encoder_free(struct encoder *e) {
    if (!e) return;
    mem_free(e->cache);
    mem_free(e->symbols);
    mem_free(e->heap);
    cutter_free(e->cutter);
    normalizer_scratch_free(&e->normalizing);
    mem_free(e);
}

/* ---- lists of ids ---- */

static fathom_status list_reserve(struct token_list *list, size_t more, struct error *err) {
    size_t need = 0, capacity = list->capacity ? list->capacity : 64;
    if (!size_add(list->count, more, &need)) RAISE(FATHOM_NO_MEMORY, "too many tokens");
    if (need <= list->capacity) return FATHOM_OK;
    while (capacity < need) capacity *= 2;
    TRY(mem_grow((void **)&list->ids, list->count, capacity, sizeof *list->ids, "tokens", err));
    list->capacity = capacity;
    return FATHOM_OK;
}

fathom_status token_list_add(struct token_list *list, int32_t id, struct error *err) {
    TRY(list_reserve(list, 1, err));
    list->ids[list->count++] = id;
    return FATHOM_OK;
}

void token_list_free(struct token_list *list) {
    mem_free(list->ids);
    *list = (struct token_list){0};
}

/* ---- short pieces ---- */

/* A symbol of a short piece, and the merge with the one behind it. */
struct short_symbol {
    int32_t id, result;
    uint32_t rank; /* NO_MERGE: none */
};
#define NO_MERGE UINT32_MAX

static void find_merge(const struct tokenizer *t, struct short_symbol *s) {
    s[0].rank = (uint32_t)tokenizer_merge_rank(t, s[0].id, s[1].id, &s[0].result);
}

static size_t first_merge(const struct short_symbol *s, size_t count) {
    size_t best = 0;
    for (size_t i = 1; i < count; i++) best = s[i].rank < s[best].rank ? i : best;
    return best;
}

size_t bpe_merge_scan(const struct tokenizer *t, int32_t *ids, size_t count) {
    struct short_symbol s[BPE_SCAN_LIMIT];
    if (count == 0) return 0;
    for (size_t i = 0; i < count; i++) s[i].id = ids[i];
    for (size_t i = 0; i + 1 < count; i++) find_merge(t, &s[i]);
    s[count - 1].rank = NO_MERGE;
    for (;;) {
        size_t best = first_merge(s, count);
        if (s[best].rank == NO_MERGE) break;
        s[best].id = s[best].result;
        count--;
        for (size_t i = best + 1; i < count; i++) s[i] = s[i + 1];
        s[best].rank = NO_MERGE;
        if (best > 0) find_merge(t, &s[best - 1]);
        if (best + 1 < count) find_merge(t, &s[best]);
    }
    for (size_t i = 0; i < count; i++) ids[i] = s[i].id;
    return count;
}

/* ---- long pieces ---- */

static bool comes_first(const struct candidate *a, const struct candidate *b) {
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static void heap_push(struct encoder *e, struct candidate c) {
    size_t at = e->heap_count++;
    while (at > 0 && comes_first(&c, &e->heap[(at - 1) / 2])) {
        e->heap[at] = e->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    e->heap[at] = c;
}

static struct candidate heap_pop(struct encoder *e) {
    struct candidate top = e->heap[0], last = e->heap[--e->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= e->heap_count) break;
        if (child + 1 < e->heap_count && comes_first(&e->heap[child + 1], &e->heap[child])) child++;
        if (!comes_first(&e->heap[child], &last)) break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    if (e->heap_count > 0) e->heap[at] = last;
    return top;
}

static void push_pair(struct encoder *e, int32_t left) {
    if (left < 0 || e->symbols[left].next < 0) return;
    int32_t right_id = e->symbols[e->symbols[left].next].id, left_id = e->symbols[left].id;
    struct candidate c = {.left = left, .left_id = left_id, .right_id = right_id};
    c.rank = tokenizer_merge_rank(e->tokenizer, left_id, right_id, &c.result);
    if (c.rank >= 0) heap_push(e, c);
}

/* Every merge removes a symbol and adds at most two candidates: 3n in all. */
static fathom_status long_reserve(struct encoder *e, size_t count, struct error *err) {
    if (count > e->symbol_capacity) {
        TRY(mem_grow((void **)&e->symbols, 0, count, sizeof *e->symbols, "a long word", err));
        e->symbol_capacity = count;
    }
    if (3 * count > e->heap_capacity) {
        TRY(mem_grow((void **)&e->heap, 0, 3 * count, sizeof *e->heap, "a long word", err));
        e->heap_capacity = 3 * count;
    }
    return FATHOM_OK;
}

static void merge_heap(struct encoder *e) {
    while (e->heap_count > 0) {
        struct candidate c = heap_pop(e);
        struct symbol *left = &e->symbols[c.left];
        if (left->id != c.left_id || left->next < 0) continue;
        struct symbol *right = &e->symbols[left->next];
        if (right->id != c.right_id) continue;
        left->id = c.result;
        left->next = right->next;
        right->id = -1;
        if (left->next >= 0) e->symbols[left->next].previous = c.left;
        push_pair(e, left->previous);
        push_pair(e, c.left);
    }
}

static fathom_status encode_long(struct encoder *e, const unsigned char *bytes, size_t size,
                                 struct token_list *out, struct error *err) {
    if (size > INT32_MAX / 4)
        RAISE(FATHOM_UNSUPPORTED, "a word of %zu bytes is too long to encode", size);
    TRY(list_reserve(out, size, err));
    int32_t *ids = out->ids + out->count;
    const size_t count = characters_first_begin(e->tokenizer, bytes, size, ids);
    TRY(long_reserve(e, count, err));
    e->heap_count = 0;
    for (size_t i = 0; i < count; i++)
        e->symbols[i] = (struct symbol){
            .id = ids[i], .previous = (int32_t)i - 1, .next = i + 1 < count ? (int32_t)i + 1 : -1};
    for (size_t i = 0; i < count; i++) push_pair(e, (int32_t)i);
    merge_heap(e);
    for (int32_t i = 0; i >= 0; i = e->symbols[i].next) out->ids[out->count++] = e->symbols[i].id;
    return FATHOM_OK;
}

/* ---- pieces ---- */

static uint64_t load_bytes(const unsigned char *bytes, size_t size) {
    uint64_t x = 0;
    memcpy(&x, bytes, size);
    return x;
}

/* The word's size and bytes as numbers: its first eight and its last eight, which may overlap. */
static struct cached_word word_key(const unsigned char *bytes, size_t size) {
    struct cached_word key;
    key.size = (uint16_t)size;
    if (size >= 8) {
        key.first = load_bytes(bytes, 8);
        key.last = load_bytes(bytes + size - 8, 8);
    } else if (size >= 4) {
        key.first = load_bytes(bytes, 4);
        key.last = load_bytes(bytes + size - 4, 4);
    } else {
        key.first = bytes[0];
        key.last = (uint64_t)bytes[size / 2] << 8 | bytes[size - 1];
    }
    return key;
}

static struct cached_word *word_slot(struct encoder *e, const struct cached_word *key) {
    uint64_t h = key->first * 0x9e3779b97f4a7c15u;
    h = ((h ^ h >> 32) + key->last + key->size) * 0xd6e8feb86659fd93u;
    return &e->cache[h >> 40 & (CACHE_SLOTS - 1)];
}

static bool is_same_word(const struct cached_word *a, const struct cached_word *b) {
    return a->first == b->first && a->last == b->last && a->size == b->size;
}

/* A piece that no cache knows. */
static fathom_status merge_piece(struct encoder *e, const unsigned char *bytes, size_t size,
                                 struct token_list *out, struct error *err) {
    int32_t ids[SCAN_BYTES];
    if (e->tokenizer->ignore_merges) {
        int32_t whole = tokenizer_ordinary(e->tokenizer, bytes, size);
        if (whole >= 0) return token_list_add(out, whole, err);
    }
    if (size > SCAN_BYTES) return encode_long(e, bytes, size, out, err);
    size_t count = characters_first_begin(e->tokenizer, bytes, size, ids);
    if (count > BPE_SCAN_LIMIT) return encode_long(e, bytes, size, out, err);
    count = bpe_merge_scan(e->tokenizer, ids, count);
    TRY(list_reserve(out, count, err));
    memcpy(out->ids + out->count, ids, count * sizeof *ids);
    out->count += count;
    return FATHOM_OK;
}

/* A piece that is short enough for the cache. */
static fathom_status encode_word(struct encoder *e, const unsigned char *bytes, size_t size,
                                 struct token_list *out, struct error *err) {
    const struct cached_word key = word_key(bytes, size);
    struct cached_word *word = word_slot(e, &key);
    if (is_same_word(word, &key)) {
        if (out->capacity - out->count < CACHE_IDS) TRY(list_reserve(out, CACHE_IDS, err));
        for (size_t i = 0; i < word->count; i++) out->ids[out->count + i] = word->ids[i];
        out->count += word->count;
        return FATHOM_OK;
    }
    size_t before = out->count;
    TRY(merge_piece(e, bytes, size, out, err));
    size_t count = out->count - before;
    if (count > CACHE_IDS) return FATHOM_OK;
    *word = key;
    word->count = (uint16_t)count;
    memcpy(word->ids, out->ids + before, count * sizeof *word->ids);
    return FATHOM_OK;
}

static fathom_status encode_plain(struct encoder *e, const unsigned char *text, size_t size,
                                  struct token_list *out, struct error *err) {
    struct piece piece;
    TRY(cutter_start(e->cutter, text, size, err));
    for (;;) {
        TRY(cutter_next(e->cutter, &piece, err));
        if (piece.size == 0) return FATHOM_OK;
        TRY(piece.size <= CACHE_WORD ? encode_word(e, piece.bytes, piece.size, out, err)
                                     : merge_piece(e, piece.bytes, piece.size, out, err));
    }
}

/* ---- added tokens ---- */

static fathom_status encode_pass(struct encoder *e, const unsigned char *text, size_t size,
                                 int pass, struct token_list *out, struct error *err);

/* What stands between added tokens that are looked for before normalizing. */
static fathom_status encode_normalized(struct encoder *e, const unsigned char *text, size_t size,
                                       bool parse_added, struct token_list *out,
                                       struct error *err) {
    const struct normalizer *normalizer = e->tokenizer->normalizer;
    if (normalizer)
        TRY(normalizer_apply(normalizer, &e->normalizing, text, size, &text, &size, err));
    return parse_added ? encode_pass(e, text, size, 1, out, err)
                       : encode_plain(e, text, size, out, err);
}

/* Splits at the added tokens of a pass (0: not normalized, 1: normalized), leftmost and longest. */
static fathom_status encode_pass(struct encoder *e, const unsigned char *text, size_t size,
                                 int pass, struct token_list *out, struct error *err) {
    const struct tokenizer *t = e->tokenizer;
    size_t done = 0, from = 0;
    for (;;) {
        struct added_match match = added_list_next(&t->added[pass], t, text, size, &from, done);
        if (match.begin > done) {
            const unsigned char *between = text + done;
            TRY(pass == 0 ? encode_normalized(e, between, match.begin - done, true, out, err)
                          : encode_plain(e, between, match.begin - done, out, err));
        }
        if (match.id < 0) return FATHOM_OK;
        TRY(token_list_add(out, match.id, err));
        done = match.end;
    }
}

fathom_status encoder_encode(struct encoder *e, const char *text, size_t size, bool parse_added,
                             struct token_list *out, struct error *err) {
    const unsigned char *bytes = (const unsigned char *)text;
    return parse_added ? encode_pass(e, bytes, size, 0, out, err)
                       : encode_normalized(e, bytes, size, false, out, err);
}
