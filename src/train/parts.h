/* The tensors of a run whose ranks hold parts of it, read by rank 0 one at a time: every stage has
 * its layers (model/stage.h), and the ranks of a stage have shards of the moments (train/zero.h).
 *
 *     rank 0:      parts_open, parts_read ... parts_read, parts_close
 *     the others:  parts_serve
 *
 * Rank 0 asks for what it wants and says when it is done, so that it may fail in between without
 * leaving the others behind. A stage's first rank answers it, and collects what its replicas hold
 * (train/moments.h). With one rank parts_read reads, and nobody is asked. */
#ifndef TRAIN_PARTS_H
#define TRAIN_PARTS_H

#include "model/files.h"
#include "train/ema.h"
#include "train/optimizer.h"

/* What a rank of a run trains. */
struct trained {
    struct model *model;
    struct optimizer *optimizer;
    struct ema *ema;       /* NULL: none is kept */
    struct comm *stages;   /* the pipeline of which the model is a stage; NULL: it is whole */
    const int64_t *begins; /* [stages] first layer of each */
};
/* Whether this is the rank that reads: rank 0. */
bool trained_is_first(const struct trained *trained);

/* The moments are read whole. */
enum part_kind { PART_WEIGHTS, PART_EMA, PART_FIRST_MOMENT, PART_SECOND_MOMENT };

struct parts {
    const struct trained *trained;
    struct stream stream;
    struct param_list whole; /* of the whole model */
};
/* On every rank alike: parts_open and parts_close on rank 0, parts_serve on the others. */
fathom_status parts_open(struct parts *parts, const struct trained *trained, struct error *err);
/* Elements [first, first + count) of a parameter of parts->whole to host memory. */
fathom_status parts_read(struct parts *parts, enum part_kind kind, const struct param *p,
                         int64_t first, int64_t count, void *to_host, struct error *err);
/* Tells the others how it went with rank 0, whose text is in err; returns it. Also after a
 * parts_open that failed. */
fathom_status parts_close(struct parts *parts, fathom_status outcome, struct error *err);
/* Answers until rank 0 closes; its outcome. */
fathom_status parts_serve(const struct trained *trained, struct error *err);

/* The model's weights or their average, for model_save_from; `owner` is the caller's memory. */
struct parts_owner {
    struct parts *parts;
    enum part_kind kind;
};
struct weight_source parts_weights(struct parts_owner *owner);

#endif
