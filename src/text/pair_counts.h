/* How often each pair of neighbouring tokens stands in the words of a training text, kept exact
 * while tokens merge, and a heap that gives the most frequent pair.
 *
 * The heap's entries may be stale. Every pair that gains is pushed again by pair_counts_settle, so
 * an entry at or above its true count always exists; one that has lost is corrected when popped. */
#ifndef TEXT_PAIR_COUNTS_H
#define TEXT_PAIR_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct token_pair {
    uint64_t key; /* left << 32 | right */
    int64_t times;
    uint32_t *words; /* every word that has the pair is here; some no longer have it */
    uint32_t word_count, word_capacity;
    bool is_gained; /* listed in pair_counts.gained */
    bool is_merged; /* taken before: the pair came back because another merge made its parts */
};

struct pair_candidate {
    int64_t times;
    uint64_t key;
};

/* Zero-initialise; pair_counts_free when done. */
struct pair_counts {
    struct token_pair *pairs;
    size_t count, capacity;
    uint32_t *slots; /* open addressing by key; UINT32_MAX: empty */
    size_t mask;
    uint32_t *gained; /* pairs that gained since the last settle */
    size_t gained_count, gained_capacity;
    struct pair_candidate *heap;
    size_t heap_count, heap_capacity;
};

static inline uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* `times` more occurrences of a pair in a word. */
fathom_status pair_counts_gain(struct pair_counts *counts, int32_t left, int32_t right,
                               int64_t times, uint32_t word, struct error *err);
/* `times` fewer occurrences of a pair that was counted before. */
void pair_counts_lose(struct pair_counts *counts, int32_t left, int32_t right, int64_t times);
/* Makes candidates of the pairs that gained. */
fathom_status pair_counts_settle(struct pair_counts *counts, struct error *err);
/* The pair with the highest count, of equals the one with the lower left id, then the lower right
 * id; NULL when none has at least `least` (>= 1). Borrowed until the next gain. */
fathom_status pair_counts_best(struct pair_counts *counts, int64_t least, struct token_pair **best,
                               struct error *err);
void pair_counts_free(struct pair_counts *counts);

#endif
