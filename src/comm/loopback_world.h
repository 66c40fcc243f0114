/* What all ranks of one loopback run share: how they wait for each other, and how a failure of one
 * ends the waits of all. */
#ifndef COMM_LOOPBACK_WORLD_H
#define COMM_LOOPBACK_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "comm/comm.h"

struct group;

struct world {
    int size;
    pthread_mutex_t mutex;  /* of `changed`, failed_rank and why */
    pthread_cond_t changed; /* sleepers look again */
    /* Ranks that are, or are about to be, asleep: whoever changes what is waited for looks here
     * after the change (both seq_cst), so that a sleeper sees the change or is woken. */
    _Atomic int sleepers;
    /* Ranks that read or write peers' buffers now. One that comes in after the abort (seq_cst) goes
     * out again, so that at 0 after the abort buffers may be freed. */
    _Atomic int visitors;
    _Atomic bool is_aborted;
    int failed_rank; /* constant after the abort */
    struct error why;
    _Atomic bool *has_left; /* [size]: its function has returned */
    struct group *groups;   /* a list of all that were made: they live as long as the world */
};

fathom_status world_new(struct world **out, int size, struct error *err);
void world_free(struct world *world); /* accepts NULL */

/* After every change that somebody may wait for. */
void world_notify(struct world *world);

/* What is waited for: true when it is there. `missing` is set to a rank of the world that has not
 * done its part yet. */
typedef bool world_ready_fn(const void *arg, int *missing);
/* FATHOM_OK when `ready`; FATHOM_PEER when the run was aborted before, or the missing rank has
 * left: then no peer visits this rank's buffers any more. */
fathom_status world_wait(struct world *world, world_ready_fn *ready, const void *arg,
                         struct error *err);

/* A stay in peers' buffers and requests: FATHOM_PEER, and not entered, after an abort. */
fathom_status world_enter(struct world *world, struct error *err);
void world_leave(struct world *world);

/* The first reason stays. Returns when no rank is in another's buffers. */
void world_abort(struct world *world, int rank, const struct error *why);
/* FATHOM_PEER, with who failed and why, after an abort. */
fathom_status world_check(struct world *world, struct error *err);

#endif
