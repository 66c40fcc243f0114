/* What changes over a run: learning rate, MTP weight, bias speed, as in the DeepSeek-V3 report 4.2.
 *
 *   learning rate   linear 0 -> peak over the warm-up; peak until `constant_until`; cosine down to
 *                   peak * final until `cosine_until`; peak * final until `last_from`; peak * last
 *   MTP weight      mtp_first until mtp_until, then mtp_last
 *   bias speed      bias_speed until bias_until, then 0
 * Times are shares of the run's steps. V3's own: 10T, 14.3T and 14.633T of 14.8T tokens. */
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
    int64_t steps; /* of the whole run */
};

/* For the step that is about to be taken, from 0. */
double schedule_learning_rate(const struct schedule *schedule, int64_t step);
double schedule_mtp_weight(const struct schedule *schedule, int64_t step);
double schedule_bias_speed(const struct schedule *schedule, int64_t step);

#endif
