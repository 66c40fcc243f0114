/* 64-bit keys, each with the number that came with it first: what was seen before, and where. */
#ifndef DATA_SEEN_H
#define DATA_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Zero-initialise; seen_free when done. Open addressing, at most two thirds full: 18 to 36 bytes a
 * key. */
struct seen {
    uint64_t *keys; /* 0: empty */
    uint32_t *numbers;
    size_t count, slots; /* slots is 0 or a power of two */
};

/* Whether the key is there; *number (may be NULL) gets its number. */
bool seen_find(const struct seen *seen, uint64_t key, uint32_t *number);
/* A key that is there keeps its number. On failure nothing has changed. */
fathom_status seen_add(struct seen *seen, uint64_t key, uint32_t number, struct error *err);
size_t seen_bytes(const struct seen *seen);
void seen_free(struct seen *seen);

#endif
