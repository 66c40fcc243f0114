/* Checkpoints of a training run.
 *
 * RUN/step-00000100/ is a Hugging Face directory (config.json, tokenizer files, model*.safetensors)
 * with the training state in state/. It is written beside its place, synced, and renamed, so it is
 * whole or absent. RUN itself carries the newest one's model files as hard links (copies where the
 * file system has none), so that RUN is a model directory too. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "format/state.h"
#include "train/optimizer.h"

struct checkpoint_options {
    const char *run;          /* RUN */
    const char *files_from;   /* directory whose tokenizer and generation files are carried along */
    const char *options_json; /* the recorded options */
    int64_t keep;             /* newest checkpoints that are kept; the others are removed */
};

/* Saves the model and the optimizer after info->step steps, then removes old checkpoints. */
fathom_status checkpoint_save(const struct checkpoint_options *options, const struct model *model,
                              const struct optimizer *optimizer, const struct state_info *info,
                              struct error *err);

/* The newest complete checkpoint of a run, as a path (mem_free): NULL when there is none. */
fathom_status checkpoint_newest(char **path, const char *run, struct error *err);

/* Loads weights, router biases, moments and the update count; every tensor is compared with its
 * checksum. The caller reads step, data position and options from `state` before. */
fathom_status checkpoint_load(const char *checkpoint, const struct state *state,
                              struct model *model, struct optimizer *optimizer, struct error *err);

#endif
