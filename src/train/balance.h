/* Auxiliary-loss-free load balancing (Wang et al. 2024, Algorithm 1; V3 report 2.1.2). */
#ifndef TRAIN_BALANCE_H
#define TRAIN_BALANCE_H

#include "model/model.h"

/* From the loads of a finished step, [MoE layers * E] on the host: moves every layer's router bias
 * by speed * sign(mean - load) where it has one, and reports each MoE layer's largest violation
 * (max - mean) / mean and its experts without a token. Returns the number of MoE layers. */
int64_t balance_update(struct model *model, const int32_t *loads, double speed,
                       double *max_violation, int64_t *dead_experts, struct stream *stream);

#endif
