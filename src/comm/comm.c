#include "comm/comm.h"

#include "base/memory.h"
#include "comm/reduce.h"

/* ---- checks ---- */

static bool has_reduction(const struct comm_op *op) {
    return op->kind == COMM_ALL_REDUCE || op->kind == COMM_REDUCE_SCATTER;
}

static bool has_peer(const struct comm_op *op) {
    return op->kind == COMM_BROADCAST || op->kind == COMM_SEND || op->kind == COMM_RECEIVE;
}

static bool has_counts(const struct comm_op *op) {
    return op->kind == COMM_REDUCE_SCATTER || op->kind == COMM_ALL_GATHER ||
           op->kind == COMM_ALL_TO_ALL;
}

/* The sum of counts, or -1 for counts that are none. */
static int64_t sum_of(const int64_t *counts, int size) {
    int64_t sum = 0;
    for (int i = 0; counts && i < size; i++)
        if (counts[i] < 0 || __builtin_add_overflow(sum, counts[i], &sum)) return -1;
    return counts ? sum : -1;
}

/* Elements that lie behind from and to; -1 for counts that are none. */
static void buffer_counts(const struct comm *comm, const struct comm_op *op, int64_t *from,
                          int64_t *to) {
    *from = *to = 0;
    if (has_counts(op)) {
        const int64_t all = sum_of(op->counts, comm->size);
        const int64_t own = all < 0 ? -1 : op->counts[comm->rank];
        *from = op->kind == COMM_ALL_GATHER ? own : all;
        *to = op->kind == COMM_REDUCE_SCATTER ? own : all;
        if (op->kind == COMM_ALL_TO_ALL) *from = sum_of(op->from_counts, comm->size);
    } else if (op->kind != COMM_BARRIER) {
        const int64_t count = op->count < 0 ? -1 : op->count;
        if (op->kind != COMM_BROADCAST && op->kind != COMM_RECEIVE) *from = count;
        if (op->kind != COMM_SEND) *to = count;
    }
}

static fathom_status check_op(const struct comm *comm, const struct comm_op *op,
                              struct error *err) {
    int64_t from, to;
    if (op->kind != COMM_BARRIER && (op->dtype < 0 || op->dtype >= DTYPE_COUNT))
        RAISE(FATHOM_USAGE, "comm: %d is no dtype", (int)op->dtype);
    if (has_reduction(op) && !reduce_has(op->dtype))
        RAISE(FATHOM_UNSUPPORTED, "comm: sums are of f32, f64, i32 and i64, not %s",
              dtype_name(op->dtype));
    if (has_peer(op) && (op->peer < 0 || op->peer >= comm->size))
        RAISE(FATHOM_USAGE, "comm: rank %d of a group of %d", op->peer, comm->size);
    if (op->tag < 0) RAISE(FATHOM_USAGE, "comm: the tag is %d", op->tag);
    buffer_counts(comm, op, &from, &to);
    if (from < 0 || to < 0) RAISE(FATHOM_USAGE, "comm: a count is negative or missing");
    if ((from > 0 && !op->from) || (to > 0 && !op->to))
        RAISE(FATHOM_USAGE, "comm: no memory for %lld elements",
              (long long)(from > 0 && !op->from ? from : to));
    return FATHOM_OK;
}

/* ---- exchanges ---- */

void comm_begin(struct comm *comm, struct stream *stream, const struct comm_op *op,
                struct comm_request *request) {
    struct error fault = {0};
    *request = (struct comm_request){.stream = stream, .op = *op};
    if (stream_failed(stream)) return;
    if (check_op(comm, op, &fault) != FATHOM_OK) {
        stream_fail(stream, fault.status, "%s", fault.text);
        return;
    }
    request->comm = comm;
    comm->member->begin(request);
    if (stream_failed(stream)) request->comm = NULL;
}

void comm_finish(struct comm_request *request) {
    struct comm *comm = request->comm;
    if (!comm) return;
    request->comm = NULL;
    if (stream_failed(request->stream))
        comm->member->abort(comm, &request->stream->error);
    else
        comm->member->finish(comm, request);
}

void comm_run(struct comm *comm, struct stream *stream, const struct comm_op *op) {
    struct comm_request request;
    comm_begin(comm, stream, op, &request);
    comm_finish(&request);
}

/* ---- groups ---- */

/* What a rank gives to comm_split. */
struct place {
    int64_t colour, key;
};

/* Fills ranks [size of the parent] with the parent's ranks that share the own colour, by key, then
 * rank. */
static void place_ranks(struct comm *comm, const struct comm *parent, const struct place *places,
                        int *ranks) {
    const struct place own = places[parent->rank];
    comm->size = 0;
    for (int rank = 0; own.colour >= 0 && rank < parent->size; rank++) {
        if (places[rank].colour != own.colour) continue;
        int at = comm->size++;
        for (; at > 0 && places[ranks[at - 1]].key > places[rank].key; at--)
            ranks[at] = ranks[at - 1];
        ranks[at] = rank;
    }
    for (int i = 0; i < comm->size; i++)
        if (ranks[i] == parent->rank) comm->rank = i;
}

struct split_memory {
    int64_t *counts;      /* [size of the parent] */
    struct place *places; /* [size of the parent] */
    int *ranks;           /* [size of the parent] */
};

static fathom_status split_into(struct comm *comm, struct comm *parent, struct stream *stream,
                                struct split_memory *m, struct place own, struct error *err) {
    TRY(MEM_NEW(&m->counts, parent->size, "a process group", err));
    TRY(MEM_NEW(&m->places, parent->size, "a process group", err));
    TRY(MEM_NEW(&m->ranks, parent->size, "a process group", err));
    for (int i = 0; i < parent->size; i++) m->counts[i] = sizeof own / sizeof own.colour;
    comm_run(parent, stream,
             &(struct comm_op){.kind = COMM_ALL_GATHER,
                               .dtype = DTYPE_I64,
                               .on_host = true,
                               .from = &own,
                               .to = m->places,
                               .counts = m->counts});
    TRY(stream_check(stream, err));
    place_ranks(comm, parent, m->places, m->ranks);
    return parent->member->split(comm, parent, stream, m->ranks, err);
}

fathom_status comm_split(struct comm **out, struct comm *parent, struct stream *stream, int colour,
                         int key, struct error *err) {
    struct comm *comm = NULL;
    struct split_memory memory = {0};
    *out = NULL;
    TRY(MEM_NEW(&comm, 1, "a process group", err));
    comm->member = parent->member;
    fathom_status status =
        split_into(comm, parent, stream, &memory, (struct place){colour, key}, err);
    mem_free(memory.counts);
    mem_free(memory.places);
    mem_free(memory.ranks);
    if (status == FATHOM_OK && comm->size > 0)
        *out = comm;
    else
        comm_free(comm);
    return status;
}

void comm_free(struct comm *comm) {
    if (!comm) return;
    comm->member->free(comm);
    mem_free(comm);
}

void comm_abort(struct comm *comm, const struct error *why) { comm->member->abort(comm, why); }

/* ---- agreement ---- */

enum { STATUS_BITS = 8 };

fathom_status comm_agree(struct comm *comm, struct stream *stream, fathom_status own,
                         struct error *err) {
    /* The largest is that of the lowest rank. */
    int64_t worst = 0;
    if (own != FATHOM_OK) worst = (int64_t)(comm->size - comm->rank) << STATUS_BITS | (int64_t)own;
    comm_run(comm, stream,
             &(struct comm_op){.kind = COMM_ALL_REDUCE,
                               .dtype = DTYPE_I64,
                               .reduction = COMM_MAX,
                               .on_host = true,
                               .from = &worst,
                               .to = &worst,
                               .count = 1});
    fathom_status status = stream_check(stream, own == FATHOM_OK ? err : NULL);
    if (own != FATHOM_OK || status != FATHOM_OK) return own != FATHOM_OK ? own : status;
    if (worst == 0) return FATHOM_OK;
    status = (fathom_status)(worst & ((1 << STATUS_BITS) - 1));
    RAISE(status, "rank %d failed (%s)", comm->size - (int)(worst >> STATUS_BITS),
          status_name(status));
}
