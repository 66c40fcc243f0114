/* What a run trains on: one dataset, or several mixed by weight.
 *
 * `--data DIR` is one; `--data mix:DIR=WEIGHT,DIR=WEIGHT` are several (a directory whose own name
 * begins so is ./mix:...). Sample g of a run is a pure function of the data, the seed and g: the
 * sources take turns as evenly as their weights allow, like the steps of a line drawn on a grid, so
 * that any window of samples holds each source's share to within a sample or two; within a source
 * samples come in the loader's order. */
#ifndef TRAIN_MIXTURE_H
#define TRAIN_MIXTURE_H

#include "train/loader.h"

struct mixture_source {
    char *directory;
    double weight;         /* share of the samples; they sum to 1 */
    uint64_t share, phase; /* of what the sources before it leave, in 2^-32, see mixture.c */
    struct shard_set *train, *heldout;
    struct loader loader;
};

struct mixture {
    struct mixture_source *sources; /* [count], the heaviest first */
    size_t count;
};

/* Directories and weights; opens nothing. FATHOM_USAGE says what is wrong. */
fathom_status mixture_parse(struct mixture *mixture, const char *data, struct error *err);

struct mixture_options {
    const char *data;
    int64_t length; /* T: predictions per sample */
    uint64_t seed;
    int64_t vocab;            /* of the model; no token lies outside */
    bool has_whole_documents; /* loader_keep_documents */
};
/* Parses and opens. Datasets of different tokenizers do not mix: FATHOM_BAD_INPUT. */
fathom_status mixture_open(struct mixture *mixture, const struct mixture_options *options,
                           struct error *err);
void mixture_close(struct mixture *mixture); /* safe on a zeroed one */

/* Reads all data and compares their checksums; a damaged shard is named. */
fathom_status mixture_verify(const struct mixture *mixture, struct error *err);
int64_t mixture_tokens(const struct mixture *mixture); /* of both splits of all sources */

/* Which source sample g >= 0 is of, and its number among that source's. */
size_t mixture_source_of(const struct mixture *mixture, int64_t g, int64_t *number);
/* Samples of a source among the first `samples` of a run. */
int64_t mixture_count(const struct mixture *mixture, size_t source, int64_t samples);
/* Sample g: tokens [T + 1]. */
fathom_status mixture_read(const struct mixture *mixture, int64_t g, int32_t *tokens,
                           struct error *err);
/* Changes when a token of a source or a weight does; of one dataset it is its own. */
uint64_t mixture_identity(const struct mixture *mixture);

#endif
