/* AdamW over a model's flat parameter groups.
 *
 * Moments lie in buffers of the same layout as the weights, so that (tensor, offset) addresses them
 * as it does the weights. With F32 compute the master weights are the model's own weights. The
 * gradient norm is the sum of fixed chunks of each group's buffer in a fixed order, so cutting a
 * group into shards at multiples of the chunk does not change it.
 *
 * With several ranks (train/zero.h) each holds the moments of its shards, and the functions marked
 * *collective* are called by all of them. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include "model/model.h"
#include "train/zero.h"

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
    struct zero zero;
    void *m[GROUP_COUNT], *v[GROUP_COUNT]; /* of the own shards; NULL for GROUP_STATE */
    struct optimizer_range *ranges;
    int64_t range_count;
    double *partial; /* chunk sums of the gradient norm, device */
    double *partial_host;
    int64_t steps;         /* updates so far: t of the bias correction */
    int64_t *expert_steps; /* [MoE layers * E] the same of each expert */
    int64_t expert_count;  /* MoE layers * E */
};
/* The model must have gradients. Moments start at zero. comm: the ranks that share the work; NULL
 * for one. */
fathom_status optimizer_new(struct optimizer **out, struct model *model, struct comm *comm,
                            const struct optimizer_options *options, struct error *err);
void optimizer_free(struct optimizer *optimizer); /* accepts NULL */
enum dtype optimizer_moment_dtype(const struct optimizer_options *options, enum dtype compute);
/* Bytes that optimizer_new takes on the device. */
size_t optimizer_bytes(const struct param_list *list, const struct comm *comm, enum dtype moments);

/* Collective: sums the gradients of all ranks into the shards. Before the norm and the update. */
void optimizer_sum_grads(struct optimizer *optimizer, struct stream *stream);
/* Collective: the l2 norm of all gradients but those of copies; waits for the stream. */
fathom_status optimizer_grad_norm(struct optimizer *optimizer, struct stream *stream, double *norm,
                                  struct error *err);
/* Whether a parameter's gradient, where it lies in the own shard, has neither NaN nor infinity: to
 * name the culprit, not for speed. */
bool optimizer_grad_is_finite(struct optimizer *optimizer, struct stream *stream,
                              const struct param *p);
/* Collective: one update with the gradients scaled so that their norm is at most the clip. `loads`
 * [MoE layers * E], host, are the step's tokens per expert: an expert without a token has no
 * gradient and keeps its weights, moments and count, as a parameter without a gradient does in
 * PyTorch. */
void optimizer_update(struct optimizer *optimizer, struct stream *stream, double learning_rate,
                      double grad_norm, const int32_t *loads);

/* A moment of a parameter where it lies in the own shard: [1, n] from the parameter's element
 * *first (may be NULL) on; n may be 0. For checkpoints. */
struct tensor optimizer_moment(const struct optimizer *optimizer, const struct param *p,
                               bool is_second, int64_t *first);

#endif
