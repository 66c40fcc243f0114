/* What goes wrong on one rank ends the waits of all, with its name; what ranks disagree about is an
 * error; a failed allocation leaves nothing behind. */
#include <stdio.h>
#include <unistd.h>

#include "comm_test.h"

static struct error err;
static const enum dtype I32 = DTYPE_I32;

static fathom_status barrier(struct peer *p) {
    return exchange(p, p->comm, &(struct comm_op){.kind = COMM_BARRIER});
}

/* ---- a rank fails ---- */

enum waiting { IN_BARRIER, IN_REDUCE, IN_RECEIVE, IN_SEND, IN_SPLIT, WAITINGS };

static fathom_status wait_for_rank_1(struct peer *p, enum waiting waiting) {
    int32_t value = 7;
    struct comm *group = NULL;
    struct comm_op op = {.kind = COMM_BARRIER, .dtype = I32, .peer = 1, .count = 1};
    op.from = op.to = &value;
    if (waiting == IN_SPLIT) {
        fathom_status status = comm_split(&group, p->comm, &p->stream, 0, 0, p->err);
        CHECK(group == NULL);
        return status;
    }
    if (waiting == IN_REDUCE) op.kind = COMM_ALL_REDUCE;
    if (waiting == IN_RECEIVE) op.kind = COMM_RECEIVE;
    if (waiting == IN_SEND) op.kind = COMM_SEND;
    return exchange(p, p->comm, &op);
}

/* Rank 1 fails after some rounds, when others already sleep or before they come. */
static fathom_status fail_on_rank_1(struct peer *p) {
    const enum waiting waiting = *(const enum waiting *)p->arg;
    for (int round = 0; round < 3; round++) TRY(barrier(p));
    if (p->comm->rank == 1) return error_set(p->err, FATHOM_NOT_FINITE, "the loss is nan");
    fathom_status status = wait_for_rank_1(p, waiting);
    CHECK_STATUS(status, FATHOM_PEER);
    CHECK_STR(p->err->text, "rank 1 failed: the loss is nan");
    CHECK_STATUS(barrier(p), FATHOM_PEER); /* for good */
    return status;
}

static void a_failure_wakes_whoever_waits(void) {
    for (int ranks = 2; ranks <= 5; ranks++) {
        for (enum waiting waiting = 0; waiting < WAITINGS; waiting++) {
            harness_context("%d ranks, wait %d", ranks, (int)waiting);
            CHECK_STATUS(run_peers(ranks, fail_on_rank_1, &waiting, &err), FATHOM_NOT_FINITE);
            CHECK_STR(err.text, "the loss is nan");
        }
    }
}

/* In a group that the failed rank is no member of. */
static fathom_status fail_beside_a_group(struct peer *p) {
    struct comm *group = NULL;
    TRY(comm_split(&group, p->comm, &p->stream, p->comm->rank == 2 ? -1 : 0, 0, p->err));
    fathom_status status = FATHOM_OK;
    if (p->comm->rank == 2) status = error_set(p->err, FATHOM_IO, "no file");
    while (status == FATHOM_OK)
        status = exchange(p, group, &(struct comm_op){.kind = COMM_BARRIER});
    CHECK_STATUS(status, p->comm->rank == 2 ? FATHOM_IO : FATHOM_PEER);
    comm_free(group);
    return status;
}
static void a_failure_ends_other_groups_too(void) {
    CHECK_STATUS(run_peers(4, fail_beside_a_group, NULL, &err), FATHOM_IO);
    CHECK_STR(err.text, "no file");
}

/* Buffers that were lent are freed as soon as the exchange has failed: the address sanitizer would
 * see a peer that still reads. */
static fathom_status free_at_once(struct peer *p) {
    enum { COUNT = 100000 };
    struct comm_request request;
    float *values = NULL;
    TRY(MEM_NEW(&values, COUNT, "values", p->err));
    const struct comm_op op = {
        .kind = COMM_ALL_REDUCE, .dtype = DTYPE_F32, .from = values, .to = values, .count = COUNT};
    for (int round = 0; !stream_failed(&p->stream); round++) {
        comm_begin(p->comm, &p->stream, &op, &request);
        if (round == 20 && p->comm->rank == 1) stream_fail(&p->stream, FATHOM_DEVICE, "it broke");
        comm_finish(&request);
    }
    mem_free(values);
    fathom_status status = stream_check(&p->stream, p->err);
    CHECK_STATUS(status, p->comm->rank == 1 ? FATHOM_DEVICE : FATHOM_PEER);
    return status;
}
static void a_stream_that_fails_in_between_is_told(void) {
    for (int i = 0; i < 20; i++) {
        CHECK_STATUS(run_peers(4, free_at_once, NULL, &err), FATHOM_DEVICE);
        CHECK_STR(err.text, "it broke");
    }
}

/* The rank that gave up goes on only when all others have been woken. */
static _Atomic int woken;
static fathom_status abort_and_stay(struct peer *p) {
    if (p->comm->rank != 1) {
        fathom_status status = barrier(p);
        woken++;
        return status;
    }
    error_set(p->err, FATHOM_DEVICE, "it overheats");
    usleep(20000); /* they sleep by now */
    comm_abort(p->comm, p->err);
    while (woken < p->comm->size - 1) usleep(100);
    return FATHOM_DEVICE;
}
static void an_abort_wakes_the_others_at_once(void) {
    CHECK_STATUS(run_peers(4, abort_and_stay, NULL, &err), FATHOM_DEVICE);
    CHECK_EQ(woken, 3);
}

static fathom_status leave_early(struct peer *p) {
    int32_t value = 0;
    if (p->comm->rank == 1) return FATHOM_OK;
    const struct comm_op op = {
        .kind = COMM_RECEIVE, .dtype = I32, .peer = 1, .to = &value, .count = 1};
    return p->comm->rank == 0 ? barrier(p) : exchange(p, p->comm, &op);
}
static void a_rank_that_has_left_is_not_waited_for(void) {
    CHECK_STATUS(run_peers(3, leave_early, NULL, &err), FATHOM_PEER);
    CHECK_STR(err.text, "it has ended while others wait for it");
}

/* What a rank leaves behind is there for the others. */
static fathom_status send_and_leave(struct peer *p) {
    int32_t value = 5;
    const struct comm_op send = {.kind = COMM_SEND, .dtype = I32, .from = &value, .count = 1};
    const struct comm_op receive = {
        .kind = COMM_RECEIVE, .dtype = I32, .peer = 1, .to = &value, .count = 1};
    return exchange(p, p->comm, p->comm->rank == 1 ? &send : &receive);
}
static void a_rank_may_leave_when_its_part_is_done(void) {
    for (int i = 0; i < 200; i++) CHECK_OK(run_peers(2, send_and_leave, NULL, &err), &err);
}

/* ---- ranks disagree ---- */

struct disagreement {
    struct comm_op ops[2]; /* of the others, of the last rank */
    const char *text;
};

static fathom_status disagree(struct peer *p) {
    const struct disagreement *d = p->arg;
    fathom_status status = exchange(p, p->comm, &d->ops[p->comm->rank == p->comm->size - 1]);
    CHECK(status == FATHOM_USAGE || status == FATHOM_PEER);
    CHECK_HAS(p->err->text, d->text);
    return status;
}

static void ranks_that_disagree_are_told(void) {
    static float a[16], b[16];
    static const int64_t two[] = {2, 2, 2}, three[] = {2, 3, 2};
#define OP(...)                                                                                    \
    { .dtype = DTYPE_F32, .from = a, .to = b, __VA_ARGS__ }
    const struct disagreement all[] = {
        {{OP(.kind = COMM_ALL_REDUCE, .count = 4), OP(.kind = COMM_ALL_REDUCE, .count = 3)},
         "ranks 0 and 2 of a group of 3 disagree: all-reduce (sum) of 4 f32, all-reduce (sum) of 3 "
         "f32"},
        {{OP(.kind = COMM_BROADCAST, .count = 4),
          OP(.kind = COMM_BROADCAST, .count = 4, .peer = 1)},
         "broadcast of 4 f32 from rank 0, broadcast of 4 f32 from rank 1"},
        {{OP(.kind = COMM_BARRIER), OP(.kind = COMM_ALL_REDUCE, .count = 1)},
         "barrier, all-reduce (sum) of 1 f32"},
        {{OP(.kind = COMM_ALL_REDUCE, .count = 1),
          OP(.kind = COMM_ALL_REDUCE, .count = 1, .reduction = COMM_MAX)},
         "all-reduce (sum) of 1 f32, all-reduce (maximum) of 1 f32"},
        {{OP(.kind = COMM_ALL_GATHER, .counts = two), OP(.kind = COMM_ALL_GATHER, .counts = three)},
         "all-gather of 2 f32 for rank 1, all-gather of 3 f32 for rank 1"},
        {{OP(.kind = COMM_ALL_TO_ALL, .counts = two, .from_counts = two),
          OP(.kind = COMM_ALL_TO_ALL, .counts = three, .from_counts = two)},
         "all-to-all: rank 1 sends 2 elements to rank 2, which awaits 3"},
        {{OP(.kind = COMM_ALL_REDUCE, .count = 4),
          {.kind = COMM_ALL_REDUCE, .dtype = I32, .from = a, .to = b, .count = 4}},
         "all-reduce (sum) of 4 f32, all-reduce (sum) of 4 i32"},
    };
#undef OP
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct disagreement d = all[i];
        harness_context("disagreement %zu", i);
        CHECK_STATUS(run_peers(3, disagree, &d, &err), FATHOM_USAGE);
        CHECK_HAS(err.text, d.text);
    }
}

/* The receiver's side differs from the sender's, by one at a time. */
static fathom_status send_wrongly(struct peer *p) {
    const struct comm_op *ops = p->arg;
    return exchange(p, p->comm, &ops[p->comm->rank]);
}
static void messages_of_another_size_or_tag_are_told(void) {
    int32_t a[4] = {0}, b[4] = {0};
    const struct comm_op send = {
        .kind = COMM_SEND, .dtype = I32, .peer = 1, .tag = 3, .from = a, .count = 2};
    const struct comm_op receive = {
        .kind = COMM_RECEIVE, .dtype = I32, .tag = 3, .to = b, .count = 2};
    struct comm_op ops[2] = {send, receive};
    CHECK_OK(run_peers(2, send_wrongly, ops, &err), &err);
    ops[1].count = 1;
    CHECK_STATUS(run_peers(2, send_wrongly, ops, &err), FATHOM_USAGE);
    CHECK_STR(err.text, "ranks 0 and 1 disagree: send of 2 i32, tag 3, receive of 1 i32, tag 3");
    ops[1] = receive;
    ops[1].tag = 4;
    CHECK_STATUS(run_peers(2, send_wrongly, ops, &err), FATHOM_USAGE);
    ops[1] = receive;
    ops[1].dtype = DTYPE_F32;
    CHECK_STATUS(run_peers(2, send_wrongly, ops, &err), FATHOM_USAGE);
}

/* ---- operations that are none ---- */

static fathom_status try_bad_ops(struct peer *p) {
    static const int64_t negative[] = {1, -1}, large[] = {INT64_MAX, INT64_MAX};
    float x[4] = {0};
    const struct comm_op bad[] = {
        {.kind = COMM_ALL_REDUCE, .dtype = DTYPE_F32, .from = x, .to = x, .count = -1},
        {.kind = COMM_ALL_REDUCE, .dtype = DTYPE_F32, .from = x, .count = 1},
        {.kind = COMM_ALL_REDUCE, .dtype = DTYPE_BF16, .from = x, .to = x, .count = 1},
        {.kind = COMM_ALL_REDUCE, .dtype = DTYPE_COUNT, .from = x, .to = x, .count = 1},
        {.kind = COMM_ALL_GATHER, .dtype = DTYPE_F32, .from = x, .to = x},
        {.kind = COMM_ALL_GATHER, .dtype = DTYPE_F32, .from = x, .to = x, .counts = negative},
        {.kind = COMM_ALL_GATHER, .dtype = DTYPE_F32, .from = x, .to = x, .counts = large},
        {.kind = COMM_SEND, .dtype = DTYPE_F32, .peer = 2, .from = x, .count = 1},
        {.kind = COMM_SEND, .dtype = DTYPE_F32, .peer = -1, .from = x, .count = 1},
        {.kind = COMM_SEND, .dtype = DTYPE_F32, .tag = -1, .from = x, .count = 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fathom_status status = exchange(p, p->comm, &bad[i]);
        CHECK(status == FATHOM_USAGE || status == FATHOM_UNSUPPORTED);
        CHECK_HAS(p->err->text, "comm: ");
    }
    return barrier(p); /* nothing was begun */
}
static void operations_are_checked_before_they_begin(void) {
    CHECK_OK(run_peers(2, try_bad_ops, NULL, &err), &err);
}

static fathom_status begin_too_many(struct peer *p) {
    struct comm_request requests[COMM_PENDING_MAX + 1];
    for (int i = 0; i <= COMM_PENDING_MAX; i++)
        comm_begin(p->comm, &p->stream, &(struct comm_op){.kind = COMM_BARRIER}, &requests[i]);
    for (int i = 0; i <= COMM_PENDING_MAX; i++) comm_finish(&requests[i]);
    return stream_check(&p->stream, p->err);
}
static fathom_status finish_backwards(struct peer *p) {
    struct comm_request requests[2];
    for (int i = 0; i < 2; i++)
        comm_begin(p->comm, &p->stream, &(struct comm_op){.kind = COMM_BARRIER}, &requests[i]);
    for (int i = 1; i >= 0; i--) comm_finish(&requests[i]);
    return stream_check(&p->stream, p->err);
}
static void too_many_in_flight_or_another_order_is_refused(void) {
    CHECK_STATUS(run_peers(2, begin_too_many, NULL, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "more than 16 collectives in flight");
    CHECK_STATUS(run_peers(2, finish_backwards, NULL, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "another order");
    CHECK_STATUS(run_peers(0, barrier, NULL, &err), FATHOM_USAGE);
    CHECK_STATUS(run_peers(COMM_RANKS_MAX + 1, barrier, NULL, &err), FATHOM_USAGE);
}

/* ---- memory ---- */

static fathom_status split_twice(struct peer *p) {
    struct comm *pair = NULL, *all = NULL;
    fathom_status status = comm_split(&pair, p->comm, &p->stream, p->comm->rank / 2, 0, p->err);
    if (status == FATHOM_OK) status = comm_split(&all, p->comm, &p->stream, 0, 0, p->err);
    if (status == FATHOM_OK) status = exchange(p, all, &(struct comm_op){.kind = COMM_BARRIER});
    comm_free(pair);
    comm_free(all);
    return status;
}
static void every_allocation_may_fail(void) {
    int n = 1;
    for (; n < 300; n++) {
        harness_context("allocation %d", n);
        mem_fail_after(n);
        fathom_status status = run_peers(3, split_twice, NULL, &err);
        mem_fail_after(0);
        if (status == FATHOM_OK) break;
        CHECK_STATUS(status, FATHOM_NO_MEMORY);
    }
    CHECK(n > 30 && n < 300);
}

static const struct test tests[] = {
    TEST(a_failure_wakes_whoever_waits),
    TEST(a_failure_ends_other_groups_too),
    TEST(a_stream_that_fails_in_between_is_told),
    TEST(an_abort_wakes_the_others_at_once),
    TEST(a_rank_that_has_left_is_not_waited_for),
    TEST(a_rank_may_leave_when_its_part_is_done),
    TEST(ranks_that_disagree_are_told),
    TEST(messages_of_another_size_or_tag_are_told),
    TEST(operations_are_checked_before_they_begin),
    TEST(too_many_in_flight_or_another_order_is_refused),
    TEST(every_allocation_may_fail),
};
HARNESS_MAIN(tests)
