#include "text/word_counts.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { FIRST_SLOTS = 4096 };

/* Slot of the word with these bytes, or the empty one where it belongs. */
static size_t find_slot(const struct word_counts *c, const char *bytes, size_t size) {
    size_t at = (size_t)hash_bytes(bytes, size) & c->mask;
    for (; c->slots[at] != UINT32_MAX; at = (at + 1) & c->mask) {
        const struct counted_word *w = &c->words[c->slots[at]];
        if (w->size == size && memcmp(text_data(&c->bytes) + w->begin, bytes, size) == 0) break;
    }
    return at;
}

/* Keeps the table at most half full with one more word. */
static fathom_status reserve(struct word_counts *c, struct error *err) {
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? 2 * c->capacity : 1024;
        TRY(mem_grow((void **)&c->words, c->count, capacity, sizeof *c->words, "words", err));
        c->capacity = capacity;
    }
    if (c->slots && 2 * (c->count + 1) <= c->mask) return FATHOM_OK;
    uint32_t *slots = NULL;
    size_t size = c->slots ? 4 * (c->mask + 1) : FIRST_SLOTS;
    TRY(mem_new_raw((void **)&slots, size, sizeof *slots, "words", err));
    memset(slots, 0xff, size * sizeof *slots);
    mem_free(c->slots);
    c->slots = slots;
    c->mask = size - 1;
    for (size_t i = 0; i < c->count; i++) {
        const struct counted_word *w = &c->words[i];
        slots[find_slot(c, text_data(&c->bytes) + w->begin, w->size)] = (uint32_t)i;
    }
    return FATHOM_OK;
}

fathom_status word_counts_add(struct word_counts *c, const char *bytes, size_t size, int64_t times,
                              struct error *err) {
    TRY(reserve(c, err));
    size_t at = find_slot(c, bytes, size);
    if (c->slots[at] != UINT32_MAX) {
        c->words[c->slots[at]].times += times;
        return FATHOM_OK;
    }
    if (c->count >= UINT32_MAX) RAISE(FATHOM_UNSUPPORTED, "too many different words");
    size_t begin = c->bytes.size;
    text_append(&c->bytes, bytes, size);
    TRY(text_check(&c->bytes, err));
    c->words[c->count] =
        (struct counted_word){.begin = begin, .size = (uint32_t)size, .times = times};
    c->slots[at] = (uint32_t)c->count++;
    return FATHOM_OK;
}

fathom_status word_counts_add_all(struct word_counts *c, const struct word_counts *from,
                                  struct error *err) {
    for (size_t i = 0; i < from->count; i++) {
        const struct counted_word *w = &from->words[i];
        TRY(word_counts_add(c, text_data(&from->bytes) + w->begin, w->size, w->times, err));
    }
    return FATHOM_OK;
}

void word_counts_free(struct word_counts *c) {
    text_free(&c->bytes);
    mem_free(c->words);
    mem_free(c->slots);
    *c = (struct word_counts){0};
}
