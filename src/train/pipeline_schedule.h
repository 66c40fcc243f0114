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
 * - nobody waits for himself, where
 *     a FORWARD begins when the stage before has ended the same, and the BACKWARD of the
 * micro-batch that was in its slot has begun there; a BACKWARD begins when the stage after has
 * ended the same; an action ends when its neighbour in the direction of its message has begun the
 * action before it of that kind: one message is on its way in each direction. */
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
