/* Auxiliary-loss-free load balancing (Wang et al. 2024, Algorithm 1; V3 report 2.1.2). */
#ifndef TRAIN_BALANCE_H
#define TRAIN_BALANCE_H

#include "model/model.h"

/* From the loads of a finished step, [MoE layers * E] on the host: moves every layer's router bias
 * by speed * sign(mean - load) where it has one, and reports each MoE layer's largest violation
 * (max - mean) / mean and its experts without a token. Returns the number of MoE layers. */
int64_t balance_update(struct model *model, const int32_t *loads, double speed,
                       double *max_violation, int64_t *dead_experts, struct stream *stream);

/* The same violation of the devices' loads, device d being the d-th of `devices` equal parts of the
 * experts. */
void balance_of_devices(const struct model *model, const int32_t *loads, int64_t devices,
                        double *max_violation);

/* Loads summed over steps, for what balance is like in the long run. */
struct balance_sums {
    int64_t *loads; /* [layers * experts] */
    int64_t layers, experts;
    int64_t steps;
};
fathom_status balance_sums_new(struct balance_sums *sums, const struct model *model,
                               struct error *err);
void balance_sums_free(struct balance_sums *sums);
/* loads of a finished step, [MoE layers * E] on the host */
void balance_sums_add(struct balance_sums *sums, const int32_t *loads);
/* MaxVio_global of Wang et al.: (largest sum - mean) / mean of each layer; their mean, and the
 * largest of them. */
void balance_sums_violation(const struct balance_sums *sums, double *mean, double *worst);

#endif
