#include "data/minhash.h"

fathom_status minhash_check(const struct minhash_options *options, struct error *err) {
    const struct minhash_options *o = options;
    if (o->shingle < 1 || o->bands < 1 || o->rows < 1 || o->bands > MINHASH_MOST_BINS ||
        o->rows > MINHASH_MOST_BINS || o->bands * o->rows > MINHASH_MOST_BINS)
        RAISE(FATHOM_USAGE,
              "near duplicates: shingles of %lld words, %lld bands of %lld rows; each must be at "
              "least 1, and bands times rows at most %d",
              (long long)o->shingle, (long long)o->bands, (long long)o->rows, MINHASH_MOST_BINS);
    return FATHOM_OK;
}

static uint64_t mix(uint64_t x) { /* splitmix64's */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

#define EMPTY UINT32_MAX

/* The bin that `bin`, which is empty, takes its value from: the same for all texts in which that
 * one is not empty and the ones tried before are. */
static size_t donor(const uint32_t *bins, size_t count, size_t bin) {
    for (uint64_t attempt = 0;; attempt++) {
        size_t other = (size_t)(mix((uint64_t)bin << 32 | attempt) % count);
        if (bins[other] != EMPTY) return other;
    }
}

bool minhash_bands(const struct word *words, size_t count, const struct minhash_options *options,
                   uint64_t *keys) {
    const size_t bands = (size_t)options->bands, rows = (size_t)options->rows;
    const size_t bin_count = bands * rows;
    size_t shingle = (size_t)options->shingle;
    uint32_t bins[MINHASH_MOST_BINS];
    if (count == 0) return false;
    if (shingle > count) shingle = count;
    for (size_t i = 0; i < bin_count; i++) bins[i] = EMPTY;
    for (size_t i = 0; i + shingle <= count; i++) {
        uint64_t hash = words_hash(words + i, shingle);
        uint32_t value = (uint32_t)hash == EMPTY ? 0 : (uint32_t)hash;
        size_t bin = (size_t)((hash >> 32) * bin_count >> 32);
        if (value < bins[bin]) bins[bin] = value;
    }
    for (size_t band = 0; band < bands; band++) {
        uint64_t key = mix(band);
        for (size_t i = band * rows; i < (band + 1) * rows; i++)
            key = mix(key ^ bins[bins[i] == EMPTY ? donor(bins, bin_count, i) : i]);
        keys[band] = key;
    }
    return true;
}
