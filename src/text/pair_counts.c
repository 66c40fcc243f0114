#include "text/pair_counts.h"

#include <string.h>

#include "base/memory.h"

enum { FIRST_SLOTS = 4096 };

static fathom_status array_reserve(void **array, size_t count, size_t *capacity, size_t size,
                                   struct error *err) {
    if (count < *capacity) return FATHOM_OK;
    size_t grown = *capacity ? 2 * *capacity : 1024;
    TRY(mem_grow(array, count, grown, size, "pairs of tokens", err));
    *capacity = grown;
    return FATHOM_OK;
}

/* ---- the table ---- */

/* Slot of the pair, or the empty one where it belongs. */
static size_t find_slot(const struct pair_counts *c, uint64_t key) {
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h ^ h >> 32) & c->mask;
    while (c->slots[at] != UINT32_MAX && c->pairs[c->slots[at]].key != key) at = (at + 1) & c->mask;
    return at;
}

/* Keeps the table at most half full with one more pair. */
static fathom_status reserve(struct pair_counts *c, struct error *err) {
    TRY(array_reserve((void **)&c->pairs, c->count, &c->capacity, sizeof *c->pairs, err));
    if (c->slots && 2 * (c->count + 1) <= c->mask) return FATHOM_OK;
    uint32_t *slots = NULL;
    size_t size = c->slots ? 4 * (c->mask + 1) : FIRST_SLOTS;
    TRY(mem_new_raw((void **)&slots, size, sizeof *slots, "pairs of tokens", err));
    memset(slots, 0xff, size * sizeof *slots);
    mem_free(c->slots);
    c->slots = slots;
    c->mask = size - 1;
    for (size_t i = 0; i < c->count; i++) slots[find_slot(c, c->pairs[i].key)] = (uint32_t)i;
    return FATHOM_OK;
}

static fathom_status list_word(struct token_pair *pair, uint32_t word, struct error *err) {
    if (pair->word_count > 0 && pair->words[pair->word_count - 1] == word) return FATHOM_OK;
    if (pair->word_count == pair->word_capacity) {
        uint32_t capacity = pair->word_capacity ? 2 * pair->word_capacity : 4;
        TRY(mem_grow((void **)&pair->words, pair->word_count, capacity, sizeof *pair->words,
                     "pairs of tokens", err));
        pair->word_capacity = capacity;
    }
    pair->words[pair->word_count++] = word;
    return FATHOM_OK;
}

fathom_status pair_counts_gain(struct pair_counts *c, int32_t left, int32_t right, int64_t times,
                               uint32_t word, struct error *err) {
    TRY(reserve(c, err));
    uint64_t key = pair_key(left, right);
    size_t at = find_slot(c, key);
    if (c->slots[at] == UINT32_MAX) {
        if (c->count >= UINT32_MAX) RAISE(FATHOM_UNSUPPORTED, "too many pairs of tokens");
        c->pairs[c->count] = (struct token_pair){.key = key};
        c->slots[at] = (uint32_t)c->count++;
    }
    struct token_pair *pair = &c->pairs[c->slots[at]];
    pair->times += times;
    TRY(list_word(pair, word, err));
    if (pair->is_gained) return FATHOM_OK;
    TRY(array_reserve((void **)&c->gained, c->gained_count, &c->gained_capacity, sizeof *c->gained,
                      err));
    c->gained[c->gained_count++] = c->slots[at];
    pair->is_gained = true;
    return FATHOM_OK;
}

void pair_counts_lose(struct pair_counts *c, int32_t left, int32_t right, int64_t times) {
    c->pairs[c->slots[find_slot(c, pair_key(left, right))]].times -= times;
}

/* ---- the heap ---- */

static bool comes_first(const struct pair_candidate *a, const struct pair_candidate *b) {
    return a->times != b->times ? a->times > b->times : a->key < b->key;
}

static fathom_status heap_push(struct pair_counts *c, struct pair_candidate entry,
                               struct error *err) {
    TRY(array_reserve((void **)&c->heap, c->heap_count, &c->heap_capacity, sizeof *c->heap, err));
    size_t at = c->heap_count++;
    while (at > 0 && comes_first(&entry, &c->heap[(at - 1) / 2])) {
        c->heap[at] = c->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    c->heap[at] = entry;
    return FATHOM_OK;
}

static struct pair_candidate heap_pop(struct pair_counts *c) {
    struct pair_candidate top = c->heap[0], last = c->heap[--c->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->heap_count) break;
        if (child + 1 < c->heap_count && comes_first(&c->heap[child + 1], &c->heap[child])) child++;
        if (!comes_first(&c->heap[child], &last)) break;
        c->heap[at] = c->heap[child];
        at = child;
    }
    if (c->heap_count > 0) c->heap[at] = last;
    return top;
}

fathom_status pair_counts_settle(struct pair_counts *c, struct error *err) {
    while (c->gained_count > 0) {
        struct token_pair *pair = &c->pairs[c->gained[c->gained_count - 1]];
        TRY(heap_push(c, (struct pair_candidate){pair->times, pair->key}, err));
        pair->is_gained = false;
        c->gained_count--;
    }
    return FATHOM_OK;
}

fathom_status pair_counts_best(struct pair_counts *c, int64_t least, struct token_pair **best,
                               struct error *err) {
    *best = NULL;
    while (c->heap_count > 0) {
        struct pair_candidate top = heap_pop(c);
        struct token_pair *pair = &c->pairs[c->slots[find_slot(c, top.key)]];
        if (pair->times < least || pair->times > top.times) continue; /* too rare; pushed again */
        if (pair->times == top.times) {
            *best = pair;
            return FATHOM_OK;
        }
        TRY(heap_push(c, (struct pair_candidate){pair->times, top.key}, err));
    }
    return FATHOM_OK;
}

void pair_counts_free(struct pair_counts *c) {
    for (size_t i = 0; i < c->count; i++) mem_free(c->pairs[i].words);
    mem_free(c->pairs);
    mem_free(c->slots);
    mem_free(c->gained);
    mem_free(c->heap);
    *c = (struct pair_counts){0};
}
