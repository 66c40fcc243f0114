/* MinHash signatures of texts in bands: texts that share most of their shingles (runs of words)
 * share a band with high probability (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of
 * Massive Datasets", section 3.4).
 *
 * The signature is one-permutation hashing with optimal densification (Li, Owen and Zhang 2012;
 * Shrivastava 2017): each shingle is hashed once, into one of bands * rows bins, and a bin that
 * stays empty takes the value of another, chosen by hash. Two texts whose sets of shingles have
 * Jaccard similarity s agree in a bin with probability s, so in some band with 1 - (1 -
 * s^rows)^bands: with 14 bands of 8 rows 0.77 at s = 0.75, 0.96 at 0.82 and 0.05 at 0.5. */
#ifndef DATA_MINHASH_H
#define DATA_MINHASH_H

#include "data/words.h"

struct minhash_options {
    int64_t shingle; /* words */
    int64_t bands, rows;
};
enum { MINHASH_MOST_BINS = 1024 };

/* FATHOM_USAGE for numbers below 1 or more than MINHASH_MOST_BINS bins. */
fathom_status minhash_check(const struct minhash_options *options, struct error *err);
/* keys[bands]: equal keys of two texts are an equal band. A text that is shorter than a shingle is
 * one shingle. False, and no keys, where there is no word. */
bool minhash_bands(const struct word *words, size_t count, const struct minhash_options *options,
                   uint64_t *keys);

#endif
