/* What the phases of an extension are: from options and a model's config to runs. */
#ifndef TRAIN_EXTEND_PHASES_H
#define TRAIN_EXTEND_PHASES_H

#include "train/extend.h"

/* PHASES_MOST: V3's had two. */
enum { PHASES_MOST = 16 };

struct extend_phase {
    struct model_config config;
    struct pretrain_options options; /* its strings are the phase's or the extension's */
    char *model, *data, *out;
};
struct extend_phases {
    struct extend_phase items[PHASES_MOST];
    size_t count;
    int64_t original; /* length of the training before */
};
/* FATHOM_USAGE for lists that do not fit together or lengths that do not grow. */
fathom_status extend_phases_new(struct extend_phases *phases, const struct extend_options *options,
                                struct error *err);
void extend_phases_free(struct extend_phases *phases); /* safe on a zeroed one */

#endif
