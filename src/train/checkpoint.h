/* Checkpoints of a training run.
 *
 * RUN/step-00000100/ is a Hugging Face directory (config.json, tokenizer files, model*.safetensors)
 * with the training state in state/. It is written beside its place, synced, and renamed, so it is
 * whole or absent. RUN itself carries the newest one's model files as hard links (copies where the
 * file system has none), so that RUN is a model directory too. With an average of the weights both
 * have it in ema/, a model directory as well. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "format/state.h"
#include "train/parts.h"

struct checkpoint_options {
    const char *run;          /* RUN */
    const char *files_from;   /* directory whose tokenizer and generation files are carried along */
    const char *options_json; /* the recorded options */
    int64_t keep;             /* newest checkpoints that are kept; the others are removed, */
    int64_t keep_every;       /* but for those of steps that this divides; 0: none */
};

/* Saves what is trained after info->step steps, then removes old checkpoints. Collective over all
 * ranks: rank 0 writes, the files are those of one rank, and its outcome is all ranks'. */
fathom_status checkpoint_save(const struct checkpoint_options *options,
                              const struct trained *trained, const struct state_info *info,
                              struct error *err);

bool checkpoint_exists(const char *run); /* of any step, damaged or not */

/* Removes what a run that was killed has left half-written in its directory and in its ema/. Only
 * with the directory locked. */
fathom_status checkpoint_remove_leftovers(const char *run, struct error *err);

/* A checkpoint that is being read. */
struct checkpoint {
    char *path;
    int64_t step;
    struct state *state;
};
/* Opens the newest checkpoint with a step below `before` whose state can be opened; what is damaged
 * is passed over. Where none can, the error is the newest one's. */
fathom_status checkpoint_open(struct checkpoint *out, const char *run, int64_t before,
                              struct error *err);
/* Gives a directory the checkpoint's model files, and its average's, as a run has them. */
fathom_status checkpoint_publish(const struct checkpoint *checkpoint, const char *directory,
                                 struct error *err);
void checkpoint_close(struct checkpoint *checkpoint); /* safe on a zeroed one */
/* Whether an error of opening or loading a checkpoint means that its files are damaged or missing,
 * so that an older one may be tried. */
bool checkpoint_is_damage(fathom_status status);
/* Renames the checkpoints of steps above `step` to NAME.damaged, in place of one of that name, so
 * that they are neither resumed from nor counted again. */
fathom_status checkpoint_set_aside(const char *run, int64_t step, struct error *err);

/* Loads, of the own stage, weights, router biases, the moments of the own shard, update counts and
 * the average; every tensor is compared with its checksum. Not collective. The caller reads step,
 * data position and options from the state. */
fathom_status checkpoint_load(const struct checkpoint *checkpoint, const struct trained *trained,
                              struct error *err);

#endif
