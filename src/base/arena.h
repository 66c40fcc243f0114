/* A bump allocator over one block, for everything whose lifetime is a step or a micro-batch.
 *
 * The same layout code runs twice: once on a measuring arena, which has no memory and only counts,
 * and once on a real one of exactly the counted size. So the size that a plan prints and the size
 * that a run allocates are one computation. Every allocation is 64-byte aligned and not zeroed.
 * Overflow latches `failed` and returns NULL; callers check arena_failed() once after a layout. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct arena {
    unsigned char *base; /* NULL: measuring */
    size_t capacity;     /* bytes; SIZE_MAX when measuring */
    size_t used;         /* bytes, a multiple of 64 */
    size_t peak;         /* the largest `used` since creation */
    bool failed;         /* an allocation did not fit; `used` still counts what was asked for */
};

/* A measuring arena. */
void arena_measure(struct arena *arena);
/* A real one; the block is allocated here and freed by arena_free. Pages are touched at creation,
 * so that a machine without memory says so now and not in the middle of a step. */
fathom_status arena_new(struct arena *arena, size_t capacity, const char *what, struct error *err);
void arena_free(struct arena *arena);
/* An arena over a block that somebody else owns (device memory); never given to arena_free. */
static inline void arena_over(struct arena *arena, void *block, size_t capacity) {
    *arena = (struct arena){.base = (unsigned char *)block, .capacity = capacity};
}

/* count * size bytes, or NULL (always NULL while measuring: callers must not touch the memory
 * then). */
void *arena_take(struct arena *arena, size_t count, size_t size);
#define ARENA_TAKE(arena, type, count) ((type *)arena_take((arena), (size_t)(count), sizeof(type)))

/* Stack discipline: everything taken after mark is given back by reset. */
static inline size_t arena_mark(const struct arena *arena) { return arena->used; }
static inline void arena_reset(struct arena *arena, size_t mark) { arena->used = mark; }

/* FATHOM_NO_MEMORY with the sizes in the text when an allocation did not fit, else FATHOM_OK. */
fathom_status arena_check(const struct arena *arena, const char *what, struct error *err);

#endif
