/* Counter-based random numbers (Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"): a draw is a pure function of (seed, purpose, stream, position), so it does not
 * depend on the number of threads, ranks, or the order of calls. Nothing is stored. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* What a draw is for. Values are part of the checkpoint format: append, never renumber. */
enum rng_purpose {
    RNG_INIT = 1,       /* initial weights: stream = tensor number, position = element */
    RNG_SHUFFLE = 2,    /* order of samples: stream = epoch, position = index */
    RNG_SAMPLE = 3,     /* token sampling: stream = sequence, position = token position */
    RNG_SYNTH = 4,      /* synthetic texts: stream = document, position = draw */
    RNG_TEST = 5,       /* tests and benches */
    RNG_EVAL = 6,       /* texts to be evaluated on: stream = trial, position = draw */
    RNG_KEEP_SLOTS = 7, /* samples whose routed slots are never dropped: stream = sample */
    RNG_BUILD = 8,      /* taking documents apart: stream = document, position = draw */
};

struct rng_key {
    uint64_t seed;
    uint32_t purpose;
    uint64_t stream;
};

/* The bare generator: ten rounds in place. Exposed so that a test can hold it to published values.
 */
void rng_philox(uint32_t counter[4], uint32_t key0, uint32_t key1);

/* 128 random bits for (key, position). */
void rng_block(struct rng_key key, uint64_t position, uint32_t out[4]);
/* 64 random bits. */
uint64_t rng_u64(struct rng_key key, uint64_t position);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(struct rng_key key, uint64_t position);
/* Uniform integer in [0, n), n >= 1, without modulo bias worth measuring (multiply-high on 64
 * bits). */
uint64_t rng_below(struct rng_key key, uint64_t position, uint64_t n);
/* Standard normal (Box-Muller on one block; two independent values per position, the first given).
 */
double rng_normal(struct rng_key key, uint64_t position);

/* A cursor for code that draws one after the other, such as a text generator; the key still names
 * the document, so documents are independent of each other. */
struct rng {
    struct rng_key key;
    uint64_t position;
};
static inline double rng_next_uniform(struct rng *rng) {
    return rng_uniform(rng->key, rng->position++);
}
static inline uint64_t rng_next_below(struct rng *rng, uint64_t n) {
    return rng_below(rng->key, rng->position++, n);
}

/* A bijection of [0, n) keyed by `key`: element i of a shuffled order without storing the order
 * (cycle-walking Feistel network). i < n. */
uint64_t rng_permute(struct rng_key key, uint64_t i, uint64_t n);

#endif
