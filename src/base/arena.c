#include "base/arena.h"

#include <string.h>

#include "base/memory.h"
#include "base/text.h"

void arena_measure(struct arena *arena) { *arena = (struct arena){.capacity = SIZE_MAX}; }

fathom_status arena_new(struct arena *arena, size_t capacity, const char *what, struct error *err) {
    void *block = NULL;
    *arena = (struct arena){0};
    TRY(mem_new(&block, capacity, 1, what, err)); /* zeroing touches every page */
    arena_over(arena, block, capacity);
    return FATHOM_OK;
}

void arena_free(struct arena *arena) {
    mem_free(arena->base);
    memset(arena, 0, sizeof *arena);
}

void *arena_take(struct arena *arena, size_t count, size_t size) {
    size_t bytes = 0, end = 0;
    bool fits = size_mul(count, size, &bytes) && size_add(bytes, MEM_ALIGNMENT - 1, &bytes);
    bytes &= ~(size_t)(MEM_ALIGNMENT - 1);
    fits = fits && size_add(arena->used, bytes, &end);
    if (!fits) {
        arena->failed = true;
        return NULL;
    }
    void *block = arena->base && end <= arena->capacity ? arena->base + arena->used : NULL;
    arena->failed |= end > arena->capacity;
    arena->used = end;
    if (end > arena->peak) arena->peak = end;
    return block;
}

fathom_status arena_check(const struct arena *arena, const char *what, struct error *err) {
    char asked[32], had[32];
    if (!arena->failed) return FATHOM_OK;
    RAISE(FATHOM_NO_MEMORY, "%s: %s needed in an arena of %s", what,
          format_bytes(asked, (double)arena->peak), format_bytes(had, (double)arena->capacity));
}
