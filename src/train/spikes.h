/* Loss spikes: a training loss far above what the steps before it had. */
#ifndef TRAIN_SPIKES_H
#define TRAIN_SPIKES_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SPIKE_MEMORY = 32,    /* steps that the running mean and deviation look back, about */
    SPIKE_WARMUP = 16,    /* steps before the first verdict */
    SPIKE_DEVIATIONS = 6, /* a spike is this many standard deviations above the mean */
};
static const double spike_least = 0.02; /* and this share of the mean */

/* Zero-initialise. Exponentially weighted mean and variance of the loss. */
struct spikes {
    double mean, variance;
    int64_t count;
};
/* Whether this step's loss is a spike; then adds it, cut to the limit, so that a lasting change
 * becomes the new normal. *mean and *limit are those that it was compared with. */
bool spikes_add(struct spikes *spikes, double loss, double *mean, double *limit);

#endif
