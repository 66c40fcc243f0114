/* Pretraining on token shards: the run around the trainer. Loader, schedule, metrics, checkpoints,
 * resume, interruption, and the plan that --dry-run prints. */
#ifndef TRAIN_PRETRAIN_H
#define TRAIN_PRETRAIN_H

#include <stdio.h>

#include "base/options.h"
#include "train/schedule.h"
#include "train/trainer.h"

/* Draws a text with the weights as they are: appends it to `out`. What draws lives above this
 * layer.
 */
struct run_sampler {
    fathom_status (*draw)(void *owner, const struct model *model, int64_t step, struct text *out,
                          struct error *err);
    void *owner;
};

struct pretrain_options {
    char *model; /* where the initial weights and the tokenizer are */
    char *data;  /* shards: train/mixture.h */
    char *out;   /* the run's directory */
    char *recipe;
    bool resume, dry_run;
    bool verify_data; /* before the first step */
    int64_t threads, ranks;
    int64_t pipeline_stages; /* that the ranks form; 1: none */
    bool expert_parallel;
    char *isa;
    int64_t seed;
    int64_t steps, sequence_length, batch, micro_batch; /* batches in sequences */
    int64_t batch_from, ramp_tokens;
    int recompute;   /* enum recompute */
    uint64_t memory; /* bytes that the process may take; 0: any */
    int precision;   /* enum precision */
    int moments;     /* 0: FP32, 1: BF16 */
    double learning_rate;
    int64_t warmup;
    double constant_until, cosine_until, last_from, final_ratio, last_ratio;
    double beta1, beta2, eps, decay, clip;
    double ema; /* decay of the weights' average; 0: none */
    double mtp_first, mtp_last, mtp_until;
    double balance_alpha, bias_speed, bias_until;
    int balance_counts;     /* 0: the top K of the scores, 1: the experts that are routed to */
    int64_t expert_devices; /* 0: the config's groups of experts */
    double device_balance_alpha, communication_balance_alpha;
    double capacity_factor, never_dropped;
    int64_t save_every, keep, keep_every;
    int64_t heldout_every, heldout_sequences;
    char *sample_prompt; /* NULL: no samples */
    int64_t sample_tokens;
    const struct run_sampler *sampler; /* no option: draws them at held-out measurements, or NULL */
    char *skip_batches;                /* steps whose batches are passed: base/ranges.h */
    bool whole_documents;
    /* In place of the config of `model`, for stages that change it; NULL: none. Not in the table.
     */
    const struct model_config *config;
};
extern const struct option_table pretrain_table;

/* Takes every option that was not given from the record of the newest checkpoint that can be read;
 * a given one that would
 * change the run is FATHOM_USAGE and the differences are named. For --resume. */
fathom_status pretrain_recall(struct pretrain_options *options, struct option_given *given,
                              struct error *err);
/* Contradictions between options. */
fathom_status pretrain_check(const struct pretrain_options *options, struct error *err);

/* The config that a new run begins with. */
fathom_status pretrain_config(struct model_config *config, const struct pretrain_options *options,
                              struct error *err);
/* Needs options that pretrain_check has accepted. */
struct schedule pretrain_schedule(const struct pretrain_options *options);
struct trainer_options pretrain_trainer_options(const struct pretrain_options *options);
/* Pipelines, or ranks without one, between which a step's micro-batches are shared. */
int64_t pretrain_replicas(const struct pretrain_options *options);
/* A rank's layers of the model, of so many ranks as options->ranks says. */
fathom_status pretrain_stage(struct stage *stage, const struct pretrain_options *options, int rank,
                             const struct model_config *config, struct error *err);
/* Trainer options for a whole model, with its devices of experts (train/expert_devices.h) and the
 * fewest recomputed layers whose run stays within --memory: FATHOM_NO_MEMORY, naming what it would
 * take, where all of them are too few. `model` may be dry. */
fathom_status pretrain_fit(struct trainer_options *out, const struct pretrain_options *options,
                           const struct model *model, struct error *err);

/* Runs to the last step, with options->ranks above 1 on as many devices of their own, which divide
 * the threads of `device` between them. FATHOM_INTERRUPTED, saved, with the line to resume in the
 * text, when a signal asked for it.
 *
 * A step whose loss or gradient is not finite changes nothing but the position in the data; the
 * third in a row is FATHOM_NOT_FINITE. A checkpoint that cannot be written on the way is tried
 * again some steps later; the last one's failure is the run's. On resuming a damaged checkpoint is
 * set aside for the one before it. */
fathom_status pretrain_run(const struct pretrain_options *options, struct device *device,
                           struct error *err);
/* The same as one of the ranks of `comm` (NULL: alone), which share every step's micro-batches, or
 * the layers as a pipeline's stages; all ranks give the same options. Rank 0 alone writes and logs;
 * all end alike. */
fathom_status pretrain_run_rank(const struct pretrain_options *options, struct device *device,
                                struct comm *comm, struct error *err);
/* Prints the plan to `out`: options, parameters, memory, FLOPs, expected speed. */
fathom_status pretrain_plan(const struct pretrain_options *options, struct device *device,
                            FILE *out, struct error *err);

/* Bytes that a run takes at its peak, all ranks together, beyond what the process held when it
 * began. */
fathom_status pretrain_memory(const struct pretrain_options *options,
                              const struct trainer_options *trainer, const struct model *model,
                              size_t *bytes, struct error *err);

#endif
