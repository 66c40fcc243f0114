/* Choosing a token from logits. A draw is a function of (seed, sequence, position) and the logits
 * alone: the same text whatever else runs. */
#ifndef INFER_SAMPLER_H
#define INFER_SAMPLER_H

#include <stdint.h>

#include "base/status.h"

struct sampler_options {
    double temperature; /* 0: the most likely token */
    double top_p;       /* in (0, 1]: the fewest tokens whose probabilities reach it */
    int64_t top_k;      /* 0: all */
    uint64_t seed;
};

struct sampler;
fathom_status sampler_new(struct sampler **out, int64_t vocab,
                          const struct sampler_options *options, struct error *err);
void sampler_free(struct sampler *sampler); /* accepts NULL */

/* The token at `position` of `sequence` from logits [V]; *logp gets its log-probability under the
 * untempered, untruncated distribution. Ties go to the lower id. logp may be NULL. */
int32_t sampler_pick(struct sampler *sampler, const float *logits, uint64_t sequence,
                     uint64_t position, double *logp);

#endif
