/* One pass over a model: forward, loss heads, backward.
 *
 *     run_forward    embedding, layers, final norm, MTP modules
 *     run_heads      log-probabilities of the targets, and the gradients of the hidden states
 *     run_backward   MTP modules, final norm, layers, embedding; adds to the model's gradients
 *
 * A model that is a stage of a pipeline (model->stage) computes its layers only. What comes before
 * them is the caller's to bring: the residual stream x and, on the way back, its gradient.
 *
 *     run_take_stream   [T, D] for the x of the stage before, which options->input then is
 *     run_forward       run_output is the x for the stage after
 *     run_take_gradient [T, D] for the gradient of that x from the stage after, in run_heads' place
 *     run_backward      run_gradient is that of the input, in the same memory
 *
 * The coefficient of each prediction is read by run_heads, so a caller may choose it from what
 * run_heads without gradients has told it (GRPO). A run on measuring arenas and a dry stream is the
 * memory plan: run_measure. */
#ifndef MODEL_RUN_H
#define MODEL_RUN_H

#include "model/mtp.h"

struct run_options {
    enum recompute recompute;
    int64_t recompute_layers; /* so many layers from the first, MTP modules last, are computed
                                 again whole; RECOMPUTE_LAYER: all */
    double balance_coef;      /* of the sum over sequences and MoE layers of the expert-level
                                 balance loss */
    bool balances_routed;     /* it counts the experts that tokens are routed to (V2), not the top
                                 K of their scores (V3); devices' losses need it */
    struct expert_devices devices;
    bool wants_top;      /* run_measure: the batch will ask for the likeliest tokens */
    bool only_measures;  /* no backward follows: expert loads are not counted */
    int64_t head_chunk;  /* rows of logits that exist at a time; 0: 256 */
    struct tensor input; /* [T, D] where the model's stage is not the first */
    const struct expert_ranks *experts; /* as in struct pass */
    const struct layer_saved *routing;  /* as in struct pass: finite differences, routing replay */
};

struct run {
    struct pass pass; /* of the main model */
    struct run_options options;
    const struct train_batch *batch;
    struct tensor *x; /* [L + 1] residual stream: x[0] the embedding, x[l] after l layers; those of
                         the model's stage */
    struct layer_saved *layers; /* [L] */
    struct tensor hidden;       /* [T, D] after the final norm */
    struct tensor hidden_rstd;  /* [T, 1] */
    struct pass *mtp_pass;      /* [mtp_modules] */
    struct mtp_saved *mtp;      /* [mtp_modules] */
    struct tensor *dhidden;     /* [1 + mtp_modules] gradients of the hidden states */
    struct tensor balance; /* [MoE layers of the stage, span_count]: each layer's and sequence's
                              loss */
    int64_t balance_first; /* the layer of its first row */
};

/* Everything the run needs lives in `kept` (activations) and `scratch`; the struct's arrays are the
 * host's own, freed by run_free. Arena overflow is reported by arena_check after the run. */
fathom_status run_new(struct run **out, const struct model *model, struct error *err);
void run_free(struct run *run); /* accepts NULL */

void run_forward(struct run *run, const struct train_batch *batch,
                 const struct run_options *options, struct stream *stream, struct arena *kept,
                 struct arena *scratch);
void run_heads(struct run *run, bool with_gradients);
void run_backward(struct run *run);

/* What a stage exchanges with its neighbours; memory is the pass's, from `kept`. */
struct tensor run_take_stream(const struct model *model, const struct train_batch *batch,
                              struct arena *kept);
struct tensor run_output(const struct run *run);
struct tensor run_take_gradient(struct run *run);
struct tensor run_gradient(const struct run *run);

/* Sum of the stage's balance losses times their coefficients, from the device; waits for the
 * stream. */
double run_balance_loss(struct run *run);

/* logits [n, V] of n hidden rows. */
void model_logits(const struct model *model, struct stream *stream, struct tensor logits,
                  struct tensor hidden);

/* Arena bytes of a whole training pass (forward, heads and, unless options->only_measures,
 * backward) of the model's stage over `count` sequences of `length` tokens. model may be dry. */
struct run_bytes {
    size_t host;   /* host arena of the batch */
    size_t device; /* device arena of the batch */
    size_t kept, scratch;
};
fathom_status run_measure(struct run_bytes *bytes, const struct model *model, int64_t count,
                          int64_t length, const struct run_options *options, struct error *err);

/* Inference: hidden [T, D] after the final norm of every row of the batch; keys and values are
 * appended to the cache. kept and scratch are given back on return. */
void model_infer(const struct model *model, struct stream *stream, const struct batch *batch,
                 struct kv_cache *cache, struct arena *kept, struct arena *scratch,
                 struct tensor hidden);

#endif
