/* Schedules of a pipeline as data: what each stage does in a step, in order.
 *
 * A schedule says when, never how: train/pipeline.h carries the actions out and sends what they
 * need between stages. It follows from the place in the pipeline and the number of micro-batches
 * alone, so all stages know all of it.
 *
 * What the lists have to be, so that any transport which keeps to comm/comm.h can carry them out:
 * - a micro-batch goes forward once and then backward once on every stage, through one slot, which
 *   holds its activations from the one to the other;
 * - all stages have one order of forwards, and one of backwards;
 * - nobody waits for himself, by these rules:
 *
 *     a FORWARD begins when the stage before has ended the same, and when the BACKWARD of what was
 *     in its slot has begun there; a BACKWARD begins when the stage after has ended the same
 *
 *     either ends when the neighbour that it sends to has begun the one before it of its kind, as
 *     one message is under way in each direction */
#ifndef TRAIN_PIPELINE_SCHEDULE_H
#define TRAIN_PIPELINE_SCHEDULE_H

#include <stdint.h>

#include "base/status.h"

enum pipeline_kind { PIPELINE_FORWARD, PIPELINE_BACKWARD };

struct pipeline_action {
    enum pipeline_kind kind;
    int64_t micro_batch; /* from 0 */
    int slot;            /* of the activations, below the stage's slots */
};

struct pipeline_schedule {
    struct pipeline_action *actions; /* [count] */
    int64_t count, capacity;
};

/* Replaces a schedule, zeroed or filled before, by one-forward-one-backward (PipeDream-Flush,
 * Narayanan et al. 2021) for `stage` of `stages`: stages - 1 - stage forwards to warm up, then a
 * forward and a backward in turn, then the backwards that are left. Allocates only where there are
 * more micro-batches than before. */
fathom_status pipeline_schedule_1f1b(struct pipeline_schedule *schedule, int stage, int stages,
                                     int64_t micro_batches, struct error *err);
/* Slots that it needs, which is the largest number of micro-batches in flight: stages - stage. */
int pipeline_slots_1f1b(int stage, int stages);
void pipeline_schedule_free(struct pipeline_schedule *schedule); /* safe on a zeroed one */

#endif
