/* A collective is posted by each rank in its own ring; when all have posted, each does its own part
 * of the work straight in the peers' buffers, says so, and waits until all have. A reduction's part
 * is a range of the elements, which only this rank reads and writes, in every buffer: so buffers
 * may be reduced in place. A message is posted by its sender and copied by its receiver. */
#include "comm/loopback.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "comm/loopback_world.h"
#include "comm/reduce.h"

/* A rank's collectives. Requests are read by peers between `begun` and `done` of their number. */
struct post {
    _Atomic int64_t begun, done; /* how many; written by the rank alone */
    const struct comm_request *requests[COMM_PENDING_MAX];
};

/* Messages from one rank to another. */
struct channel {
    _Atomic int64_t sent;  /* written by the sender */
    _Atomic int64_t taken; /* written by the receiver */
    int64_t awaited;       /* receives that were begun: the receiver's own */
    const struct comm_request *requests[COMM_PENDING_MAX];
};

struct group {
    struct world *world;
    int size;
    int *ranks;               /* [size] in the world */
    struct post *posts;       /* [size] */
    struct channel *channels; /* [size (from), size (to)] */
    struct group *next;       /* of the world's list */
};

static struct group *group_of(const struct comm *comm) { return comm->state; }

static const struct comm_op *op_of(const struct group *group, int rank, int64_t number) {
    return &group->posts[rank].requests[number % COMM_PENDING_MAX]->op;
}

static struct channel *channel_of(const struct group *group, int from, int to) {
    return &group->channels[from * group->size + to];
}

/* ---- what ranks must agree about ---- */

static const char *const kind_names[] = {
    [COMM_BARRIER] = "barrier",
    [COMM_BROADCAST] = "broadcast",
    [COMM_ALL_REDUCE] = "all-reduce",
    [COMM_REDUCE_SCATTER] = "reduce-scatter",
    [COMM_ALL_GATHER] = "all-gather",
    [COMM_ALL_TO_ALL] = "all-to-all",
    [COMM_SEND] = "send",
    [COMM_RECEIVE] = "receive",
};

enum { OP_TEXT_MAX = 128 };

/* The operation as text; of the counts it names that of rank `i`. */
static const char *describe(char text[OP_TEXT_MAX], const struct comm_op *op, int i) {
    const char *name = kind_names[op->kind], *dtype = dtype_name(op->dtype);
    switch (op->kind) {
    case COMM_BARRIER: snprintf(text, OP_TEXT_MAX, "%s", name); break;
    case COMM_BROADCAST:
        snprintf(text, OP_TEXT_MAX, "%s of %lld %s from rank %d", name, (long long)op->count, dtype,
                 op->peer);
        break;
    case COMM_SEND:
    case COMM_RECEIVE:
        snprintf(text, OP_TEXT_MAX, "%s of %lld %s, tag %d", name, (long long)op->count, dtype,
                 op->tag);
        break;
    case COMM_ALL_REDUCE:
        snprintf(text, OP_TEXT_MAX, "%s (%s) of %lld %s", name,
                 op->reduction == COMM_MAX ? "maximum" : "sum", (long long)op->count, dtype);
        break;
    case COMM_REDUCE_SCATTER:
    case COMM_ALL_GATHER:
    case COMM_ALL_TO_ALL:
        snprintf(text, OP_TEXT_MAX, "%s%s of %lld %s for rank %d", name,
                 op->reduction == COMM_MAX ? " (maximum)" : "", (long long)op->counts[i], dtype, i);
    }
    return text;
}

/* Whether two ranks make the same collective; *at is the rank whose counts differ. */
static bool is_same(const struct comm_op *a, const struct comm_op *b, int size, int *at) {
    *at = 0;
    if (a->kind != b->kind) return false;
    if (a->kind == COMM_BARRIER) return true;
    if (a->dtype != b->dtype) return false;
    if (a->kind == COMM_BROADCAST) return a->count == b->count && a->peer == b->peer;
    if (a->kind == COMM_ALL_TO_ALL) return true;
    if (a->reduction != b->reduction) return false;
    if (a->kind == COMM_ALL_REDUCE) return a->count == b->count;
    while (*at < size && a->counts[*at] == b->counts[*at]) ++*at;
    return *at == size;
}

static fathom_status check_all_to_all(const struct group *group, int64_t number,
                                      struct error *err) {
    for (int i = 0; i < group->size; i++) {
        for (int j = 0; j < group->size; j++) {
            const int64_t sent = op_of(group, i, number)->from_counts[j];
            const int64_t awaited = op_of(group, j, number)->counts[i];
            if (sent == awaited) continue;
            RAISE(FATHOM_USAGE,
                  "all-to-all: rank %d sends %lld elements to rank %d, which awaits %lld", i,
                  (long long)sent, j, (long long)awaited);
        }
    }
    return FATHOM_OK;
}

/* Every rank finds the same. */
static fathom_status check_collective(const struct group *group, int64_t number,
                                      struct error *err) {
    const struct comm_op *first = op_of(group, 0, number);
    for (int rank = 1; rank < group->size; rank++) {
        const struct comm_op *op = op_of(group, rank, number);
        char one[OP_TEXT_MAX], other[OP_TEXT_MAX];
        int at;
        if (is_same(first, op, group->size, &at)) continue;
        RAISE(FATHOM_USAGE, "ranks 0 and %d of a group of %d disagree: %s, %s", rank, group->size,
              describe(one, first, at), describe(other, op, at));
    }
    return first->kind == COMM_ALL_TO_ALL ? check_all_to_all(group, number, err) : FATHOM_OK;
}

/* ---- a rank's part of a collective ---- */

static int64_t count_before(const int64_t *counts, int rank) {
    int64_t sum = 0;
    for (int i = 0; i < rank; i++) sum += counts[i];
    return sum;
}

static void copy_elements(void *to, int64_t to_at, const void *from, int64_t from_at, int64_t count,
                          enum dtype dtype) {
    const size_t size = dtype_size(dtype);
    char *target = (char *)to + (size_t)to_at * size;
    const char *source = (const char *)from + (size_t)from_at * size;
    if (count > 0 && target != source) memcpy(target, source, (size_t)count * size);
}

/* Elements [begin, end) of every rank's `from`, reduced: into `own` for a reduce-scatter, where
 * `begin` is its element 0, else into the same place of every rank's `to`. */
static void reduce_part(const struct group *group, int64_t number, int64_t begin, int64_t end,
                        void *own) {
    const struct comm_op *op = op_of(group, 0, number);
    const int64_t size = (int64_t)dtype_size(op->dtype), most = REDUCE_BLOCK_BYTES / size;
    const void *from[COMM_RANKS_MAX];
    _Alignas(64) char block[REDUCE_BLOCK_BYTES];
    for (int64_t at = begin, count; at < end; at += count) {
        count = end - at < most ? end - at : most;
        for (int rank = 0; rank < group->size; rank++)
            from[rank] = (const char *)op_of(group, rank, number)->from + at * size;
        reduce_block(block, op->dtype, op->reduction, from, group->size, count);
        for (int rank = 0; rank < group->size && !own; rank++)
            copy_elements(op_of(group, rank, number)->to, at, block, 0, count, op->dtype);
        if (own) copy_elements(own, at - begin, block, 0, count, op->dtype);
    }
}

static void gather(const struct group *group, int64_t number, const struct comm_op *op) {
    for (int rank = 0; rank < group->size; rank++)
        copy_elements(op->to, count_before(op->counts, rank), op_of(group, rank, number)->from, 0,
                      op->counts[rank], op->dtype);
}

static void take_from_all(const struct group *group, int64_t number, int own,
                          const struct comm_op *op) {
    for (int rank = 0; rank < group->size; rank++) {
        const struct comm_op *theirs = op_of(group, rank, number);
        copy_elements(op->to, count_before(op->counts, rank), theirs->from,
                      count_before(theirs->from_counts, own), op->counts[rank], op->dtype);
    }
}

static void do_part(const struct group *group, int64_t number, int own) {
    const struct comm_op *op = op_of(group, own, number);
    switch (op->kind) {
    case COMM_BROADCAST:
        copy_elements(op->to, 0, op_of(group, op->peer, number)->to, 0, op->count, op->dtype);
        break;
    case COMM_ALL_REDUCE:
        reduce_part(group, number, op->count * own / group->size,
                    op->count * (own + 1) / group->size, NULL);
        break;
    case COMM_REDUCE_SCATTER: {
        const int64_t begin = count_before(op->counts, own);
        reduce_part(group, number, begin, begin + op->counts[own], op->to);
        break;
    }
    case COMM_ALL_GATHER: gather(group, number, op); break;
    case COMM_ALL_TO_ALL: take_from_all(group, number, own, op); break;
    case COMM_BARRIER:
    case COMM_SEND:
    case COMM_RECEIVE: break;
    }
}

/* ---- collectives ---- */

struct awaited_posts {
    const struct group *group;
    int64_t number;
    bool are_done; /* else begun */
};

static bool posts_are_there(const void *arg, int *missing) {
    const struct awaited_posts *a = arg;
    for (int rank = 0; rank < a->group->size; rank++) {
        struct post *post = &a->group->posts[rank];
        *missing = a->group->ranks[rank];
        if (atomic_load(a->are_done ? &post->done : &post->begun) <= a->number) return false;
    }
    return true;
}

static fathom_status post_begin(struct comm_request *request, struct error *err) {
    struct group *group = group_of(request->comm);
    struct post *post = &group->posts[request->comm->rank];
    request->number = atomic_load(&post->begun);
    if (request->number - atomic_load(&post->done) >= COMM_PENDING_MAX)
        RAISE(FATHOM_USAGE, "comm: more than %d collectives in flight", COMM_PENDING_MAX);
    post->requests[request->number % COMM_PENDING_MAX] = request;
    atomic_store(&post->begun, request->number + 1);
    world_notify(group->world);
    return FATHOM_OK;
}

static fathom_status post_finish(struct comm *comm, const struct comm_request *request,
                                 struct error *err) {
    struct group *group = group_of(comm);
    struct post *post = &group->posts[comm->rank];
    struct awaited_posts awaited = {group, request->number, false};
    TRY(world_wait(group->world, posts_are_there, &awaited, err));
    if (request->number != atomic_load(&post->done))
        RAISE(FATHOM_USAGE, "comm: collectives are finished in another order than they began");
    TRY(world_enter(group->world, err));
    fathom_status status = check_collective(group, request->number, err);
    if (status == FATHOM_OK) do_part(group, request->number, comm->rank);
    world_leave(group->world);
    TRY(status);
    atomic_store(&post->done, request->number + 1);
    world_notify(group->world);
    awaited.are_done = true;
    return world_wait(group->world, posts_are_there, &awaited, err);
}

/* ---- messages ---- */

struct awaited_message {
    const struct group *group;
    int from, to;
    int64_t number;
};

static bool message_is_sent(const void *arg, int *missing) {
    const struct awaited_message *a = arg;
    *missing = a->group->ranks[a->from];
    return atomic_load(&channel_of(a->group, a->from, a->to)->sent) > a->number;
}

static bool message_is_taken(const void *arg, int *missing) {
    const struct awaited_message *a = arg;
    *missing = a->group->ranks[a->to];
    return atomic_load(&channel_of(a->group, a->from, a->to)->taken) > a->number;
}

static fathom_status message_begin(struct comm_request *request, struct error *err) {
    struct group *group = group_of(request->comm);
    const int own = request->comm->rank, peer = request->op.peer;
    const bool is_send = request->op.kind == COMM_SEND;
    struct channel *channel = is_send ? channel_of(group, own, peer) : channel_of(group, peer, own);
    request->number = is_send ? atomic_load(&channel->sent) : channel->awaited;
    if (request->number - atomic_load(&channel->taken) >= COMM_PENDING_MAX)
        RAISE(FATHOM_USAGE, "comm: more than %d messages in flight from rank %d to rank %d",
              COMM_PENDING_MAX, is_send ? own : peer, is_send ? peer : own);
    if (!is_send) {
        channel->awaited++;
        return FATHOM_OK;
    }
    channel->requests[request->number % COMM_PENDING_MAX] = request;
    atomic_store(&channel->sent, request->number + 1);
    world_notify(group->world);
    return FATHOM_OK;
}

static fathom_status take_message(const struct comm_op *sent, const struct comm_op *op, int own,
                                  struct error *err) {
    char one[OP_TEXT_MAX], other[OP_TEXT_MAX];
    if (sent->dtype != op->dtype || sent->count != op->count || sent->tag != op->tag)
        RAISE(FATHOM_USAGE, "ranks %d and %d disagree: %s, %s", op->peer, own,
              describe(one, sent, 0), describe(other, op, 0));
    copy_elements(op->to, 0, sent->from, 0, op->count, op->dtype);
    return FATHOM_OK;
}

static fathom_status receive_finish(struct comm *comm, const struct comm_request *request,
                                    struct error *err) {
    struct group *group = group_of(comm);
    const struct awaited_message awaited = {group, request->op.peer, comm->rank, request->number};
    struct channel *channel = channel_of(group, awaited.from, awaited.to);
    if (request->number != atomic_load(&channel->taken))
        RAISE(FATHOM_USAGE, "comm: messages of rank %d are finished in another order than begun",
              awaited.from);
    TRY(world_wait(group->world, message_is_sent, &awaited, err));
    TRY(world_enter(group->world, err));
    fathom_status status = take_message(&channel->requests[request->number % COMM_PENDING_MAX]->op,
                                        &request->op, comm->rank, err);
    world_leave(group->world);
    TRY(status);
    atomic_store(&channel->taken, request->number + 1);
    world_notify(group->world);
    return FATHOM_OK;
}

static fathom_status send_finish(struct comm *comm, const struct comm_request *request,
                                 struct error *err) {
    struct group *group = group_of(comm);
    const struct awaited_message awaited = {group, comm->rank, request->op.peer, request->number};
    return world_wait(group->world, message_is_taken, &awaited, err);
}

/* ---- the member ---- */

static bool is_message(const struct comm_request *request) {
    return request->op.kind == COMM_SEND || request->op.kind == COMM_RECEIVE;
}

static void loopback_abort(struct comm *comm, const struct error *why) {
    struct group *group = group_of(comm);
    world_abort(group->world, group->ranks[comm->rank], why);
}

/* A rank that could not do its part is out of step with the others: the run is over. */
static void fail(struct comm *comm, struct stream *stream, const struct error *why) {
    if (why->status != FATHOM_PEER) loopback_abort(comm, why);
    stream_fail(stream, why->status, "%s", why->text);
}

static void loopback_begin(struct comm_request *request) {
    struct stream *stream = request->stream;
    struct error err = {0};
    stream->device->driver->wait(stream);
    fathom_status status = world_check(group_of(request->comm)->world, &err);
    if (status == FATHOM_OK)
        status = is_message(request) ? message_begin(request, &err) : post_begin(request, &err);
    if (status != FATHOM_OK) fail(request->comm, stream, &err);
}

static void loopback_finish(struct comm *comm, struct comm_request *request) {
    struct error err = {0};
    fathom_status status = FATHOM_OK;
    if (request->op.kind == COMM_SEND)
        status = send_finish(comm, request, &err);
    else if (request->op.kind == COMM_RECEIVE)
        status = receive_finish(comm, request, &err);
    else
        status = post_finish(comm, request, &err);
    if (status != FATHOM_OK) fail(comm, request->stream, &err);
}

/* ---- groups ---- */

static void group_free(struct group *group) {
    if (!group) return;
    mem_free(group->ranks);
    mem_free(group->posts);
    mem_free(group->channels);
    mem_free(group);
}

static fathom_status group_fill(struct group *group, struct error *err) {
    const size_t size = (size_t)group->size;
    TRY(MEM_NEW(&group->ranks, size, "a process group", err));
    TRY(MEM_NEW(&group->posts, size, "a process group", err));
    return MEM_NEW(&group->channels, size * size, "a process group", err);
}

/* Its ranks are the caller's to fill. */
static fathom_status group_new(struct group **out, struct world *world, int size,
                               struct error *err) {
    struct group *group = NULL;
    *out = NULL;
    TRY(MEM_NEW(&group, 1, "a process group", err));
    group->world = world;
    group->size = size;
    fathom_status status = group_fill(group, err);
    if (status != FATHOM_OK) {
        group_free(group);
        return status;
    }
    pthread_mutex_lock(&world->mutex);
    group->next = world->groups;
    world->groups = group;
    pthread_mutex_unlock(&world->mutex);
    *out = group;
    return FATHOM_OK;
}

/* A group is the world's: after a failure nobody could tell who has had it already. */
static void loopback_free(struct comm *comm) { (void)comm; }

/* Rank 0 of the new group makes it and tells the others where it is. */
static fathom_status loopback_split(struct comm *comm, struct comm *parent, struct stream *stream,
                                    const int *ranks, struct error *err) {
    const struct group *whole = group_of(parent);
    struct group *made = NULL, *offered[COMM_RANKS_MAX] = {NULL};
    int64_t counts[COMM_RANKS_MAX];
    if (comm->size > 0 && comm->rank == 0) {
        TRY(group_new(&made, whole->world, comm->size, err));
        for (int i = 0; i < comm->size; i++) made->ranks[i] = whole->ranks[ranks[i]];
    }
    for (int i = 0; i < parent->size; i++) counts[i] = sizeof(void *);
    comm_run(parent, stream,
             &(struct comm_op){.kind = COMM_ALL_GATHER,
                               .dtype = DTYPE_U8,
                               .on_host = true,
                               .from = &made,
                               .to = offered,
                               .counts = counts});
    TRY(stream_check(stream, err));
    if (comm->size > 0) comm->state = offered[ranks[0]];
    return FATHOM_OK;
}

static const struct comm_member loopback_member = {
    .name = "loopback",
    .begin = loopback_begin,
    .finish = loopback_finish,
    .split = loopback_split,
    .abort = loopback_abort,
    .free = loopback_free,
};

/* ---- ranks ---- */

struct rank_thread {
    pthread_t thread;
    struct comm comm;
    comm_rank_fn *fn;
    void *arg;
};

static void *rank_main(void *arg) {
    struct rank_thread *self = arg;
    struct world *world = group_of(&self->comm)->world;
    struct error err = {0};
    fathom_status status = self->fn(self->arg, &self->comm, &err);
    if (status != FATHOM_OK) {
        err.status = status;
        world_abort(world, self->comm.rank, &err);
    }
    atomic_store(&world->has_left[self->comm.rank], true);
    world_notify(world);
    return NULL;
}

static fathom_status start_and_join(struct world *world, struct group *group,
                                    struct rank_thread *threads, struct error *err) {
    int started = 1, code = 0;
    for (int rank = 0; rank < world->size; rank++) {
        group->ranks[rank] = rank;
        threads[rank].comm = (struct comm){&loopback_member, rank, world->size, group};
    }
    while (started < world->size && code == 0) {
        code = pthread_create(&threads[started].thread, NULL, rank_main, &threads[started]);
        if (code == 0) started++;
    }
    if (code == 0) {
        rank_main(&threads[0]);
    } else {
        struct error why = {0};
        error_set_errno(&why, code, "rank %d of %d cannot be started", started, world->size);
        world_abort(world, started, &why);
    }
    for (int rank = 1; rank < started; rank++) pthread_join(threads[rank].thread, NULL);
    if (!atomic_load(&world->is_aborted)) return FATHOM_OK;
    return error_set(err, world->why.status, "%s", world->why.text);
}

static fathom_status run_in(struct world *world, comm_rank_fn *fn, void *arg, struct error *err) {
    struct rank_thread *threads = NULL;
    struct group *group = NULL;
    TRY(group_new(&group, world, world->size, err));
    TRY(MEM_NEW(&threads, world->size, "the ranks", err));
    for (int rank = 0; rank < world->size; rank++)
        threads[rank] = (struct rank_thread){.fn = fn, .arg = arg};
    fathom_status status = start_and_join(world, group, threads, err);
    mem_free(threads);
    return status;
}

fathom_status comm_run_loopback(int ranks, comm_rank_fn *fn, void *arg, struct error *err) {
    struct world *world = NULL;
    if (ranks < 1 || ranks > COMM_RANKS_MAX)
        RAISE(FATHOM_USAGE, "%d ranks: the number must lie in [1, %d]", ranks, COMM_RANKS_MAX);
    TRY(world_new(&world, ranks, err));
    fathom_status status = run_in(world, fn, arg, err);
    while (world->groups) {
        struct group *next = world->groups->next;
        group_free(world->groups);
        world->groups = next;
    }
    world_free(world);
    return status;
}
