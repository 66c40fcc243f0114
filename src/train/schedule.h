/* What changes over a run: learning rate, MTP weight, bias speed, as in the DeepSeek-V3 report 4.2.
 *
 *   learning rate   linear 0 -> peak over the warm-up; peak until `constant_until`; cosine down to
 *                   peak * final until `cosine_until`; peak * final until `last_from`; peak * last
 *   MTP weight      mtp_first until mtp_until, then mtp_last
 *   bias speed      bias_speed until bias_until, then 0
 *   batch           batch_from growing linearly to `batch` over the first ramp_samples sequences
 * Times are shares of the run's tokens. V3's own: 10T, 14.3T and 14.633T of 14.8T tokens, batches
 * of 3,072 to 15,360 sequences over the first 469B. */
#ifndef TRAIN_SCHEDULE_H
#define TRAIN_SCHEDULE_H

#include <stdint.h>

struct schedule {
    double peak; /* learning rate */
    int64_t warmup_steps;
    double constant_until, cosine_until, last_from; /* shares, ascending */
    double final, last;                             /* of the peak */
    double mtp_first, mtp_last, mtp_until;
    double bias_speed, bias_until;
    int64_t batch, batch_from; /* sequences in a step; batch_from 0: always `batch` */
    int64_t ramp_samples;
    int64_t batch_multiple; /* that every batch is rounded down to, of which `batch` is one */
    int64_t samples;        /* of the whole run: schedule_samples of its steps */
};

/* Where a run stands: what is done before the step that is about to be taken. */
struct run_place {
    int64_t step, samples;
};
int64_t schedule_batch(const struct schedule *schedule, int64_t samples);
/* Sequences in the first `steps` steps. */
int64_t schedule_samples(const struct schedule *schedule, int64_t steps);
double schedule_learning_rate(const struct schedule *schedule, struct run_place at);
double schedule_mtp_weight(const struct schedule *schedule, struct run_place at);
double schedule_bias_speed(const struct schedule *schedule, struct run_place at);

#endif
