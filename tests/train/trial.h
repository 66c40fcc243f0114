/* Runs of the trainer on several ranks, for tests that compare them: what each rank does in a step
 * is one function, and a trial says how many ranks do it, and how. */
#ifndef TESTS_TRAIN_TRIAL_H
#define TESTS_TRAIN_TRIAL_H

#include "train/checkpoint.h"
#include "train/trainer.h"

enum { STEPS = 10, BATCH = 8, MICRO = 2, LENGTH = 12, MOST_RANKS = 4 };

/* A run: what its ranks do, and what they leave. */
struct trial {
    const char *config;
    int steps;
    bool has_bf16_moments;
    bool is_all_on_0; /* rank 0 takes every micro-batch */
    bool divides_experts;
    int stages;         /* of the pipelines; 0: none */
    bool is_one_by_one; /* micro-batches are accumulated in a call each */
    bool holds_all;     /* every rank's model is whole */
    int fails_on;       /* the rank that cannot read a micro-batch of step 1; -1: none */
    int64_t fails_at;   /* that one, from 0 */
    int waits_on;       /* the rank that waits for all others in place of step 1; -1: none */
    enum recompute recompute;
    int64_t bad_at;     /* a weight of the last layer that is no number in the first step; -1 */
    const char *save;   /* a directory for checkpoints; NULL: none */
    bool is_resumed;    /* from the newest of them */
    int64_t first_step; /* of the samples' order */
    struct step_metrics metrics[STEPS]; /* of rank 0 */
    double violations[STEPS];
    /* Sums of what each parameter has, so that those of the stages add up to a whole model's. */
    uint64_t weights[MOST_RANKS], biases[MOST_RANKS];
    uint64_t embeddings[MOST_RANKS]; /* the stage's, or its copy; 0: none */
    fathom_status outcomes[MOST_RANKS];
    char texts[MOST_RANKS][ERROR_TEXT_MAX];
};

/* Two layers; several chunks in each group, so that every rank has a shard. */
extern const char trial_config[];
/* For sweeps, which take many runs. */
extern const char trial_small[];
/* Ten steps of trial_config. */
extern const struct trial trial_plain;

/* 0 ranks: the trainer without a communicator. */
fathom_status run_trial(struct trial *trial, int ranks, struct error *err);
struct trainer_options trial_options(const struct trial *trial, struct comm *comm);
/* trial_plain of a config on so many stages. */
struct trial trial_on(const char *config, int stages);
/* Three steps, saved; the first replica takes all micro-batches. And three steps from there on. */
struct trial trial_saving(const char *config, int stages, const char *directory);
struct trial trial_resuming(const char *config, int stages, const char *directory);

/* What the stages have together; the replicas of each have the same, or the test fails. */
uint64_t trial_sum(const uint64_t *values, int ranks, const struct trial *trial);
/* Failures end the test: losses and norms of a step; all steps, weights, biases and loads. */
void check_trial_near(const struct step_metrics *a, const struct step_metrics *b, double tolerance);
void check_trial_as_one(const struct trial *many, int ranks, const struct trial *one);
/* Where rank 0 cannot write, all ranks hear of it. */
void check_trial_fails_to_save(struct trial saved, int ranks);
/* Two ranks with every allocation failing in turn: of a step, then of a checkpoint too. */
void sweep_trial(const struct trial *like);

/* A directory of the test's, and a file of the checkpoint in it. */
const char *trial_directory(int number);
uint64_t trial_file_hash(const char *directory, const char *name);

#endif
