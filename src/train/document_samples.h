/* Samples that hold documents whole, for training on long texts.
 *
 * A sample begins with a document and takes as many tokens of the stream as its length; the next
 * one begins with the first document that was not whole in it. So every document that fits stands
 * whole in a sample, and what a sample has of one that did not fit is seen again. A document longer
 * than a sample is cut from its beginning. */
#ifndef TRAIN_DOCUMENT_SAMPLES_H
#define TRAIN_DOCUMENT_SAMPLES_H

#include "format/shard.h"

struct document_samples {
    int64_t *begins; /* [count] tokens of the stream */
    int64_t count;
};
/* Of T predictions: sample i is tokens [begins[i], begins[i] + T]. There may be none. */
fathom_status document_samples_new(struct document_samples *out, const struct shard_set *set,
                                   int64_t T, struct error *err);
void document_samples_free(struct document_samples *samples);

#endif
