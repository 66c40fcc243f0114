#include "train/spikes.h"

#include <math.h>

bool spikes_add(struct spikes *s, double loss, double *mean, double *limit) {
    *mean = s->mean;
    *limit = s->mean + fmax(SPIKE_DEVIATIONS * sqrt(s->variance), spike_least * fabs(s->mean));
    const bool is_spike = s->count >= SPIKE_WARMUP && loss > *limit;
    /* The first steps are plain means: weights 1/1, 1/2, ... */
    const double weight = 1.0 / (double)(s->count < SPIKE_MEMORY ? s->count + 1 : SPIKE_MEMORY);
    const double difference = (is_spike ? *limit : loss) - s->mean;
    s->mean += weight * difference;
    s->variance = (1 - weight) * (s->variance + weight * difference * difference);
    s->count++;
    return is_spike;
}
