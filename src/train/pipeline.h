/* A rank's stage of a pipeline at work: the micro-batches that are in flight on it, and the
 * messages to and from its neighbours.
 *
 * A schedule (train/pipeline_schedule.h) says what is done when; each call here carries one of its
 * actions out. A FORWARD takes the residual stream from the stage before and sends it on to the one
 * after, a BACKWARD takes its gradient from there and sends the gradient of its input back. Sends
 * are left under way while the stage goes on to its next action: they read the slot's memory until
 * they are finished, which happens before the slot is used again and before the next message in the
 * same direction. Without neighbours nothing is sent, and the one slot is an ordinary pass.
 *
 * Every slot has arenas of its own for activations and batch;
 * scratch memory is the stage's. */
#ifndef TRAIN_PIPELINE_H
#define TRAIN_PIPELINE_H

#include "comm/comm.h"
#include "model/run.h"
#include "train/pipeline_schedule.h"

/* Where a rank stands. Ranks are numbered stage by stage; those of one stage are its replicas,
 * between which micro-batches are shared, and replica i of every stage make one pipeline. */
struct pipeline_place {
    int stage, stages;
    int replica, replicas;
};
/* comm NULL: the only rank. `stages` divides the ranks. */
struct pipeline_place pipeline_place_of(const struct comm *comm, int stages);

struct pipeline_slot {
    struct run *run;
    struct train_batch batch;
    struct arena host, device, kept;
    void *device_blocks[2];
};

/* A message that may be under way. */
struct pipeline_send {
    struct comm_request request;
    const struct pipeline_slot *slot; /* whose memory it reads */
};

struct pipeline {
    const struct model *model;
    struct stream *stream;
    struct comm *comm; /* the pipeline's stages in order; NULL: one */
    struct pipeline_slot *slots;
    int slot_count;
    struct arena scratch;
    void *scratch_block;
    struct pipeline_send sends[2]; /* by enum pipeline_kind */
};
/* `bytes` are a slot's, of run_measure. Model, stream and communicator stay the caller's. */
fathom_status pipeline_new(struct pipeline **out, const struct model *model,
                           const struct run_bytes *bytes, int slots, struct comm *comm,
                           struct stream *stream, struct error *err);
void pipeline_free(struct pipeline *pipeline); /* accepts NULL; nothing is under way */

/* One micro-batch, and how it is computed. */
struct pipeline_input {
    const struct sequence *sequences; /* [count] */
    int64_t count;
    const struct train_batch_options *batch;
    const struct run_options *run;
};
/* On the last stage the losses' heads too; with run->only_measures without gradients. */
fathom_status pipeline_forward(struct pipeline *pipeline, const struct pipeline_action *action,
                               const struct pipeline_input *input, struct error *err);
fathom_status pipeline_backward(struct pipeline *pipeline, const struct pipeline_action *action,
                                struct error *err);
/* Ends a list of actions: waits until everything sent has been taken. A failure as `outcome`, whose
 * text is in err, is told to the other ranks, which do not wait for this one then. Returns the
 * outcome, or what went wrong here. */
fathom_status pipeline_end(struct pipeline *pipeline, fathom_status outcome, struct error *err);

#endif
