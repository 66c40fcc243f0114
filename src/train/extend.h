/* Context extension as DeepSeek-V3's (report, section 4.3): YaRN, trained in phases of growing
 * length, each a run of train/pretrain.h that begins with the model of the one before.
 *
 *     DIR/extend.json           the options, for --resume
 *     DIR/phase-1-2048/ ...     the runs
 *     DIR/                      the last one's model, when all is done
 *
 * All phases have the same YaRN parameters: the factor is that of the last length. */
#ifndef TRAIN_EXTEND_H
#define TRAIN_EXTEND_H

#include "train/pretrain.h"

struct extend_options {
    struct pretrain_options train; /* first: the rows that both tables have point into it */
    char *lengths;                 /* "2048,8192" */
    char *steps;                   /* of each phase, or one number for all */
    int64_t original;              /* length that the model was trained with; 0: found out */
};

/* Pretrain's rows but for those that an extension sets itself, some with other defaults, and its
 * own. */
enum { EXTEND_ROWS = 128 };
struct extend_table {
    struct option rows[EXTEND_ROWS];
    struct option_table table;
};
void extend_table_make(struct extend_table *table);

/* For --resume, as pretrain_recall. */
fathom_status extend_recall(const struct option_table *table, struct extend_options *options,
                            struct option_given *given, struct error *err);

/* Runs all phases that are not done. FATHOM_USAGE for lengths that do not grow or do not exceed the
 * model's; FATHOM_UNSUPPORTED for a model whose context was extended before. FATHOM_INTERRUPTED as
 * pretrain_run. */
fathom_status extend_run(const struct option_table *table, const struct extend_options *options,
                         struct device *device, struct error *err);
/* Prints the plan of every phase. */
fathom_status extend_plan(const struct extend_options *options, struct device *device, FILE *out,
                          struct error *err);

#endif
