/* AdamW over a model's flat parameter groups.
 *
 * Moments lie in buffers of the same layout as the weights, so that (tensor, offset) addresses them
 * as it does the weights. With F32 compute the master weights are the model's own weights. The
 * gradient norm is the sum of fixed chunks of each group's buffer in a fixed order, so cutting a
 * group into shards at multiples of the chunk will not change it. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/model.h"

struct optimizer_options {
    double beta1, beta2, eps;
    double decay;          /* of matrices; vectors and biases have none */
    double clip;           /* largest gradient norm; 0: none */
    bool has_bf16_moments; /* as V3 keeps them; else of the compute dtype */
};

/* Neighbouring parameters that are always updated together. */
struct optimizer_range {
    enum param_group group;
    int64_t offset, count; /* elements */
    bool has_decay;
    int64_t expert; /* index into expert_steps; -1: not an expert's */
};

struct optimizer {
    struct model *model;
    struct optimizer_options options;
    void *m[GROUP_COUNT], *v[GROUP_COUNT]; /* NULL for GROUP_STATE */
    struct optimizer_range *ranges;
    int64_t range_count;
    double *partial; /* chunk sums of the gradient norm, device */
    double *partial_host;
    int64_t steps;         /* updates so far: t of the bias correction */
    int64_t *expert_steps; /* [MoE layers * E] the same of each expert */
    int64_t expert_count;  /* MoE layers * E */
};
/* The model must have gradients. Moments start at zero. */
fathom_status optimizer_new(struct optimizer **out, struct model *model,
                            const struct optimizer_options *options, struct error *err);
void optimizer_free(struct optimizer *optimizer); /* accepts NULL */
enum dtype optimizer_moment_dtype(const struct optimizer_options *options, enum dtype compute);
/* Bytes that optimizer_new takes on the device. */
size_t optimizer_bytes(const struct param_list *list, enum dtype moments);

/* The l2 norm of all gradients; waits for the stream. */
fathom_status optimizer_grad_norm(struct optimizer *optimizer, struct stream *stream, double *norm,
                                  struct error *err);
/* Whether a parameter's gradient has neither NaN nor infinity: to name the culprit, not for speed.
 */
bool optimizer_grad_is_finite(struct optimizer *optimizer, struct stream *stream,
                              const struct param *p);
/* One update with the gradients scaled so that their norm is at most the clip. `loads` [MoE layers
 * * E], host, are the step's tokens per expert: an expert without a token has no gradient and keeps
 * its weights, moments and count, as a parameter without a gradient does in PyTorch. */
void optimizer_update(struct optimizer *optimizer, struct stream *stream, double learning_rate,
                      double grad_norm, const int32_t *loads);

/* A moment of a parameter, as the weights: for checkpoints. */
struct tensor optimizer_moment(const struct optimizer *optimizer, const struct param *p,
                               bool is_second);

#endif
