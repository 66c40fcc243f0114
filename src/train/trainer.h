/* One optimizer step over any number of micro-batches.
 *
 *     trainer_begin(t, &totals, &weights)      the step's denominators, losses' weights
 *     trainer_accumulate(t, sequences, n)      forward, loss heads, backward of a micro-batch
 *     trainer_accumulate_all(t, &batches)      the same of many, in the order of the schedule
 *     trainer_finish(t, learning_rate, ...)    norm, clip, AdamW, router bias, metrics
 *
 * The loss is a mean over the whole step, whatever its division into micro-batches:
 *   main    sum -log p / totals.tokens
 *   mtp     mean over the modules of (sum -log p / totals.mtp_tokens[k]), weighted by mtp_weight
 *   balance alpha * mean over sequences of the sum over MoE layers of the sequence-wise loss, and
 *           the same of V2's device- and communication-level losses
 * After the update the router bias moves by bias_speed * sign(mean load - load) from the counts of
 * the whole step (auxiliary-loss-free balancing). Arenas have the measured size; nothing is
 * allocated in a step.
 *
 * With several ranks (options.comm) each has a trainer and a model of its own, the models alike.
 * All begin with the totals of the whole step, each accumulates its share of the micro-batches
 * (none is a share too), and all finish: losses, loads and metrics are those of the whole step on
 * every rank, and so are the outcome and the weights, bit for bit. Optimizer state is sharded:
 * train/zero.h.
 *
 * With options.stages above 1 the ranks are the replicas of as many stages (train/pipeline.h), each
 * with a model that is its stage. Replica i of every stage accumulates the same micro-batches, in
 * the same calls; the schedule is 1F1B over those of one call of trainer_accumulate_all. Gradients
 * are summed over the replicas of a stage, and optimizer state is sharded among them. The last
 * stage's copy of the embedding has the sum of both stages' gradients, and so do its updates: it
 * stays equal to the first one's. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "model/dispatch.h"
#include "model/run.h"
#include "train/parts.h"
#include "train/pipeline.h"

enum { TRAINER_MAX_MTP = 8 };

/* What a step's losses are divided by. */
struct step_totals {
    int64_t sequences;
    int64_t tokens;                      /* predictions of the main model */
    int64_t mtp_tokens[TRAINER_MAX_MTP]; /* predictions of each MTP module */
};
/* For `sequences` sequences of `length` predictions each. */
struct step_totals step_totals_of(int64_t sequences, int64_t length, int64_t modules);

struct step_weights {
    double mtp;                                   /* lambda */
    double balance;                               /* alpha; 0: no balance loss */
    double device_balance, communication_balance; /* V2's alpha2 and alpha3 */
};

struct step_metrics {
    double loss_main, loss_mtp, loss_balance, loss_total; /* total: weighted as trained on */
    double grad_norm;                                     /* before clipping */
    double learning_rate;
    /* per MoE layer, MTP modules included, in layer order */
    int64_t moe_layers;
    const double *max_violation;    /* (largest load - mean) / mean */
    const int64_t *dead_experts;    /* experts that no token reached */
    const double *device_violation; /* as max_violation, of devices' loads; NULL: no devices */
    bool may_drop;
    int64_t routed_slots, dropped_slots; /* of all MoE layers; loads count what is not dropped */
};

struct trainer {
    struct model *model;
    struct comm *comm; /* NULL: one rank */
    struct optimizer *optimizer;
    struct pipeline_place place;
    /* Groups of ranks; NULL where they would have one. */
    struct comm *stages;   /* the pipeline of which this is a stage */
    struct comm *replicas; /* of this stage: all ranks where there is one stage */
    struct comm *ends;     /* the pipeline's ends, where both have the embedding */
    int64_t *begins;       /* [stages] first layer of each */
    struct pipeline *pipeline;
    struct pipeline_schedule schedule;
    struct run_options run_options;
    struct expert_ranks expert_ranks; /* where the experts are divided */
    struct stream stream;
    float *logp; /* [largest micro-batch], host */
    int64_t logp_count;
    struct step_totals totals;
    struct step_weights weights;
    double sum_main, sum_mtp[TRAINER_MAX_MTP], sum_balance;
    double sum_slots;         /* routed slots of the step's micro-batches */
    int32_t *loads;           /* [MoE layers * E], host: the last finished step's counts */
    double *max_violation;    /* [MoE layers] */
    int64_t *dead_experts;    /* [MoE layers] */
    double *device_violation; /* [MoE layers] */
};

struct trainer_options {
    struct optimizer_options optimizer;
    enum recompute recompute;
    int64_t recompute_layers; /* as in struct run_options */
    double balance_alpha;
    bool balances_routed;          /* as in struct run_options */
    struct expert_devices devices; /* with alphas as coefficients; as zeroed: none */
    int64_t micro_sequences;       /* the largest micro-batch: this many sequences */
    int64_t sequence_length;       /* of this many predictions */
    /* Each rank computes its part of the experts, for the tokens of all (model/dispatch.h): every
     * step then has as many micro-batches, of one size, on all ranks. */
    bool divides_experts;
    int stages; /* of the pipeline, which divide the ranks; 0 or 1: none */
    /* All ranks; NULL: one. The caller's; trainer_measure reads rank and size only. */
    struct comm *comm;
};
/* Bytes that a trainer takes beside the model: moments and arenas. model may be dry. */
struct trainer_bytes {
    size_t moments;
    struct run_bytes run; /* of a micro-batch in flight; they share the scratch memory */
    int slots;            /* micro-batches in flight */
};
fathom_status trainer_measure(struct trainer_bytes *bytes, const struct model *model,
                              const struct trainer_options *options, struct error *err);
size_t trainer_bytes_total(const struct trainer_bytes *bytes);

/* The model needs gradients, and its stage to be the rank's; it stays the caller's. Collective with
 * stages. */
fathom_status trainer_new(struct trainer **out, struct model *model,
                          const struct trainer_options *options, struct error *err);
void trainer_free(struct trainer *trainer); /* accepts NULL */
/* For checkpoints; with an average of the weights, or NULL. The trainer's memory. */
struct trained trainer_trained(const struct trainer *trainer, struct ema *ema);

void trainer_begin(struct trainer *trainer, const struct step_totals *totals,
                   const struct step_weights *weights);
/* One micro-batch, through all stages before the next. */
fathom_status trainer_accumulate(struct trainer *trainer, const struct sequence *sequences,
                                 int64_t count, struct error *err);

/* Micro-batches that are read when the schedule comes to them. */
struct micro_batches {
    /* Points *sequences at the `*sequence_count` ones of micro-batch `index`; they stay until the
     * next call. */
    fathom_status (*read)(void *owner, int64_t index, const struct sequence **sequences,
                          int64_t *sequence_count, struct error *err);
    void *owner;
    int64_t count;
};
/* A rank that fails here ends the run for all stages of its pipeline. */
fathom_status trainer_accumulate_all(struct trainer *trainer, const struct micro_batches *batches,
                                     struct error *err);
/* Adds -log p of every main prediction of a micro-batch to *sum, on the last stage: the forward
 * alone, for held-out data. Not between trainer_begin and trainer_finish's accumulations of a step:
 * the arenas are shared, the gradients and loads are not touched. All stages of a pipeline call it
 * alike. */
fathom_status trainer_measure_loss(struct trainer *trainer, const struct sequence *sequences,
                                   int64_t count, double *sum, struct error *err);
/* Collective over the ranks. FATHOM_NOT_FINITE, with the weights untouched, when a loss or gradient
 * is not a number: the text names the first bad tensor. */
fathom_status trainer_finish(struct trainer *trainer, double learning_rate, double bias_speed,
                             struct step_metrics *metrics, struct error *err);

#endif
