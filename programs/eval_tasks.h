/* Tasks of `fathom eval`. */
#ifndef PROGRAMS_EVAL_TASKS_H
#define PROGRAMS_EVAL_TASKS_H

#include "device_options.h"

enum eval_task { EVAL_PERPLEXITY, EVAL_NEEDLE };

struct eval_options {
    char *model, *data, *isa, *lengths, *depths, *svg;
    int task, split;
    int64_t length, micro, windows, trials, others, seed, threads;
    bool json, mtp;
};

fathom_status eval_needle(struct command *command, const struct eval_options *options,
                          struct device *device);

#endif
