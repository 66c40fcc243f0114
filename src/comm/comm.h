/* Process groups: how the ranks of a run exchange numbers.
 *
 * A communicator is one rank's membership in a group of `size` ranks. Three members are meant to
 * stand behind this header: loopback (ranks as threads of one process, comm/loopback.h), MPI (host
 * buffers) and NCCL (device buffers on a stream). Callers cannot tell them apart.
 *
 * An exchange is one struct comm_op, begun and finished:
 *
 *     comm_begin(comm, stream, &op, &request)   lends the buffers
 *     ...                                       work that touches neither of them
 *     comm_finish(&request)                     `to` holds the result, the buffers are free again
 *     comm_run(comm, stream, &op)               both at once
 *
 * Streams. Exchanges are ordered on a stream, as operations are: they see what was queued on it
 * before comm_begin, and what is queued after comm_finish sees their result. A member with device
 * buffers queues them and returns; one with host buffers waits for the stream itself. Failures
 * latch on the stream and are read with the step's others; on a stream that has failed, or a dry
 * one, an exchange does nothing, so memory can be planned by running the code that exchanges.
 *
 * Memory. `from` and `to` are memory of the stream's device, or the host's with `on_host` (losses,
 * flags, counts): a member with device buffers stages those itself. The device's may be a few
 * numbers or a whole parameter group; counts are elements and known to the host.
 *
 * Order. All ranks of a group make the same sequence of collectives on it, and finish them in the
 * order in which they began; between two ranks, messages arrive in the order of their sending and
 * are received in it, the tag being a check and not a search (NCCL has none). Exchanges of
 * different groups that are in flight together finish in an order that is the same on all their
 * ranks. At most COMM_PENDING_MAX are in flight on a group, or between two ranks in one direction.
 * A collective's finish may wait for every rank's begin and a send's for its receive's: begin what
 * a peer waits for before you finish what waits for it. One thread at a time uses a communicator.
 *
 * Determinism. A sum is a chain over the ranks 0, 1, ..., size - 1 in the operation's dtype, for
 * each element, whatever the timing, the division of the buffer and the member: a member whose
 * library adds in another order exchanges first and then adds itself.
 *
 * Failure. A rank that cannot go on says so: by comm_abort, or by returning its error from the
 * function that comm_run_loopback called. Every wait of every other rank then ends with FATHOM_PEER
 * and a text that names the rank and its reason; all groups of the run are unusable from then on.
 * Ranks that disagree about an exchange (its kind, dtype, counts, root, tag) get an error that
 * shows both sides, as does one that waits for a rank which has left: nothing is written past a
 * buffer and nothing hangs. A failure that is seen between begin and finish is told to the others
 * by comm_finish, which is therefore called for every request that was begun. */
#ifndef COMM_COMM_H
#define COMM_COMM_H

#include "backend/device.h"

enum { COMM_PENDING_MAX = 16, COMM_RANKS_MAX = 256 };

/* n is the group's size, r the own rank; buffers hold elements of op.dtype. */
enum comm_kind {
    COMM_BARRIER, /* ends nowhere before it has begun everywhere */
    /* to [count]: the root's goes to all */
    COMM_BROADCAST,
    /* to [count] = the sum or maximum of every rank's from [count], which may be to */
    COMM_ALL_REDUCE,
    /* to [counts[r]] = block r of the sum or maximum of every rank's from [sum of counts]; may be
       that block of from */
    COMM_REDUCE_SCATTER,
    /* to [sum of counts] = every rank's from [its counts] in order; from may be block r of to */
    COMM_ALL_GATHER,
    /* from: a block of from_counts[i] for each rank i in order; to: one of counts[i] from each;
       they are apart */
    COMM_ALL_TO_ALL,
    COMM_SEND,    /* from [count] to rank `peer` */
    COMM_RECEIVE, /* to [count] from rank `peer` */
};
enum comm_reduction { COMM_SUM, COMM_MAX };

struct comm_op {
    enum comm_kind kind;
    enum dtype dtype; /* reductions: F32, F64, I32 or I64 */
    enum comm_reduction reduction;
    int peer; /* the root of a broadcast, the other side of a message */
    int tag;  /* of a message, >= 0: both sides must name the same */
    bool on_host;
    const void *from;
    void *to;
    int64_t count;
    const int64_t *counts;      /* [n], host, unchanged until the finish */
    const int64_t *from_counts; /* [n] the same */
};

struct comm;

/* An exchange in flight: the caller's memory, not moved between begin and finish. */
struct comm_request {
    struct comm *comm; /* NULL: nothing was begun */
    struct stream *stream;
    struct comm_op op;
    int64_t number; /* the member's: its place in the sequence of its kind */
    void *state;    /* the member's */
};

/* What a member provides. comm.c has checked the operation; begin and finish latch failures on the
 * request's stream. */
struct comm_member {
    const char *name;
    void (*begin)(struct comm_request *request);
    void (*finish)(struct comm *comm, struct comm_request *request);
    /* Fills `comm`, whose rank and size are set: ranks[i] of the parent is its rank i. Called on
     * every rank of the parent, with size 0 on one that belongs to no group. */
    fathom_status (*split)(struct comm *comm, struct comm *parent, struct stream *stream,
                           const int *ranks, struct error *err);
    void (*abort)(struct comm *comm, const struct error *why);
    void (*free)(struct comm *comm);
};

/* Made by a member, or {.rank, .size} alone where a layout is only planned. */
struct comm {
    const struct comm_member *member;
    int rank, size;
    void *state; /* the member's */
};

void comm_begin(struct comm *comm, struct stream *stream, const struct comm_op *op,
                struct comm_request *request);
void comm_finish(struct comm_request *request);
void comm_run(struct comm *comm, struct stream *stream, const struct comm_op *op);

/* Collective over the parent: a group of the ranks that give the same colour, ordered by key and
 * then by their rank in the parent. A negative colour belongs to none: *out is NULL. The stream is
 * waited for. */
fathom_status comm_split(struct comm **out, struct comm *parent, struct stream *stream, int colour,
                         int key, struct error *err);
/* Not collective; what was begun has been finished. Accepts NULL. */
void comm_free(struct comm *comm);

/* Tells all ranks of the run that this one has failed, and why. The first reason stays. Returns
 * when no rank reads this one's buffers any more. */
void comm_abort(struct comm *comm, const struct error *why);

/* Collective: whether every rank came here with FATHOM_OK. A rank that did not gets its own status
 * back and keeps its err; the others get the lowest such rank's status and a text that names it.
 * For work that may fail on one rank while all can go on together. */
fathom_status comm_agree(struct comm *comm, struct stream *stream, fathom_status own,
                         struct error *err);

#endif
