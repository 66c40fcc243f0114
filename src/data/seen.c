#include "data/seen.h"

#include "base/memory.h"

enum { SLOTS_LEAST = 1024 };

/* Keys are hashes, so their low bits are a place. */
static size_t place_of(const struct seen *seen, uint64_t key) {
    size_t at = (size_t)key & (seen->slots - 1);
    while (seen->keys[at] != 0 && seen->keys[at] != key) at = (at + 1) & (seen->slots - 1);
    return at;
}

static uint64_t stored(uint64_t key) { return key ? key : 1; }

bool seen_find(const struct seen *seen, uint64_t key, uint32_t *number) {
    if (seen->slots == 0) return false;
    size_t at = place_of(seen, stored(key));
    if (seen->keys[at] == 0) return false;
    if (number) *number = seen->numbers[at];
    return true;
}

static fathom_status grow(struct seen *seen, struct error *err) {
    struct seen next = {.count = seen->count, .slots = seen->slots ? 2 * seen->slots : SLOTS_LEAST};
    TRY(MEM_NEW(&next.keys, next.slots, "what was seen", err));
    fathom_status status = MEM_NEW(&next.numbers, next.slots, "what was seen", err);
    if (status != FATHOM_OK) {
        mem_free(next.keys);
        return status;
    }
    for (size_t i = 0; i < seen->slots; i++) {
        if (seen->keys[i] == 0) continue;
        size_t at = place_of(&next, seen->keys[i]);
        next.keys[at] = seen->keys[i];
        next.numbers[at] = seen->numbers[i];
    }
    seen_free(seen);
    *seen = next;
    return FATHOM_OK;
}

fathom_status seen_add(struct seen *seen, uint64_t key, uint32_t number, struct error *err) {
    if (3 * (seen->count + 1) > 2 * seen->slots) TRY(grow(seen, err));
    size_t at = place_of(seen, stored(key));
    if (seen->keys[at] != 0) return FATHOM_OK;
    seen->keys[at] = stored(key);
    seen->numbers[at] = number;
    seen->count++;
    return FATHOM_OK;
}

size_t seen_bytes(const struct seen *seen) {
    return seen->slots * (sizeof *seen->keys + sizeof *seen->numbers);
}

void seen_free(struct seen *seen) {
    mem_free(seen->keys);
    mem_free(seen->numbers);
    *seen = (struct seen){0};
}
