/* Training samples in the order of a run: a keyed shuffle of each epoch, so that sample g of a run
 * is a pure function of (seed, g) and a resumed run needs no more than a number. */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include "train/document_samples.h"

struct loader {
    const struct shard_set *set;
    int64_t length;  /* T: predictions per sample */
    int64_t samples; /* per epoch */
    uint64_t seed;
    struct document_samples documents; /* of loader_keep_documents; begins NULL: not called */
};
/* FATHOM_BAD_INPUT when the set does not hold one sample of that length. */
fathom_status loader_init(struct loader *loader, const struct shard_set *set, int64_t length,
                          uint64_t seed, struct error *err);
/* Samples that hold documents whole (train/document_samples.h) from now on, in place of those that
 * cut the stream anywhere. Same errors. */
fathom_status loader_keep_documents(struct loader *loader, struct error *err);
void loader_free(struct loader *loader); /* safe on a zeroed one */
/* Sample g >= 0, counted over epochs: tokens [T + 1]. */
fathom_status loader_read(const struct loader *loader, int64_t g, int32_t *tokens,
                          struct error *err);

#endif
