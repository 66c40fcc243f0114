/* What every member of the process-group interface must do, on the loopback member: results, order
 * of sums, exchanges in flight, groups. test_loopback_failures.c has what goes wrong. */
#include <stdio.h>

#include "comm_test.h"

static struct error err;
static const int group_sizes[] = {1, 2, 3, 4, 8};
static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_F64, DTYPE_I32, DTYPE_I64};
enum { SIZES = 5, ROUNDS = 60, MOST_RANKS = 8, MOST = 3000, GUARD = 8 };

static void run_all(peer_fn *fn) {
    for (int i = 0; i < SIZES; i++) {
        harness_context("%d ranks", group_sizes[i]);
        CHECK_OK(run_peers(group_sizes[i], fn, NULL, &err), &err);
    }
}

/* ---- random collectives ---- */

/* The plan of a round, which all ranks draw alike. */
struct round {
    uint64_t number;
    enum dtype dtype;
    enum comm_reduction reduction;
    int root;
    bool is_in_place;
    int64_t count;
    int64_t counts[MOST_RANKS];
    int64_t sum;
};

static uint64_t draw(uint64_t round, uint64_t i, uint64_t below) {
    return rng_below((struct rng_key){77, RNG_TEST, round}, i, below);
}

/* A third are empty, a third small, a third cross the blocks that sums are made in. */
static int64_t draw_count(uint64_t round, uint64_t i) {
    static const uint64_t most[] = {1, 9, MOST};
    return (int64_t)draw(round, i, most[draw(round, 100 + i, 3)]);
}

static struct round round_of(uint64_t number, int ranks) {
    struct round r = {.number = number,
                      .dtype = dtypes[draw(number, 0, 4)],
                      .reduction = draw(number, 1, 3) == 0 ? COMM_MAX : COMM_SUM,
                      .root = (int)draw(number, 2, (uint64_t)ranks),
                      .is_in_place = draw(number, 3, 2) == 0,
                      .count = draw_count(number, 4)};
    for (int i = 0; i < ranks; i++) {
        r.counts[i] = draw_count(number, 10 + (uint64_t)i);
        r.sum += r.counts[i];
    }
    return r;
}

/* Two buffers for the largest round, with a guard behind what is used. */
struct buffers {
    void *from, *to;
};
static struct buffers new_buffers(void) {
    struct buffers b = {0};
    const size_t count = (size_t)MOST_RANKS * MOST + GUARD;
    CHECK_OK(mem_new(&b.from, count, 8, "a buffer", &err), &err);
    CHECK_OK(mem_new(&b.to, count, 8, "a buffer", &err), &err);
    return b;
}
static void free_buffers(struct buffers *b) {
    mem_free(b->from);
    mem_free(b->to);
}

static void fill(void *buffer, const struct round *r, int rank, int64_t count) {
    for (int64_t i = 0; i < count; i++) put(buffer, r->dtype, i, value_of(r->number, rank, i));
}

/* Guards the elements behind what an exchange may write. */
static void guard(void *buffer, const struct round *r, int64_t end) {
    for (int64_t i = 0; i < GUARD; i++) put(buffer, r->dtype, end + i, 0.5);
}
static void check_guard(const void *buffer, const struct round *r, int64_t end) {
    for (int64_t i = 0; i < GUARD; i++)
        CHECK(get(buffer, r->dtype, end + i) == stored(r->dtype, 0.5));
}

static void check_all_reduce(struct peer *p, const struct round *r, struct buffers *b) {
    void *to = r->is_in_place ? b->from : b->to;
    fill(b->from, r, p->comm->rank, r->count);
    guard(to, r, r->count);
    CHECK_OK(exchange(p, p->comm,
                      &(struct comm_op){.kind = COMM_ALL_REDUCE,
                                        .dtype = r->dtype,
                                        .reduction = r->reduction,
                                        .from = b->from,
                                        .to = to,
                                        .count = r->count}),
             p->err);
    for (int64_t i = 0; i < r->count; i++)
        CHECK(get(to, r->dtype, i) == reduced(r->number, r->dtype, r->reduction, p->comm->size, i));
    check_guard(to, r, r->count);
}

static int64_t before(const struct round *r, int rank) {
    int64_t sum = 0;
    for (int i = 0; i < rank; i++) sum += r->counts[i];
    return sum;
}

static void check_reduce_scatter(struct peer *p, const struct round *r, struct buffers *b) {
    const int own = p->comm->rank;
    const int64_t at = before(r, own), count = r->counts[own];
    void *to = b->to;
    if (r->is_in_place) to = (char *)b->from + (size_t)at * dtype_size(r->dtype);
    fill(b->from, r, own, r->sum);
    if (!r->is_in_place) guard(to, r, count);
    CHECK_OK(exchange(p, p->comm,
                      &(struct comm_op){.kind = COMM_REDUCE_SCATTER,
                                        .dtype = r->dtype,
                                        .reduction = r->reduction,
                                        .from = b->from,
                                        .to = to,
                                        .counts = r->counts}),
             p->err);
    for (int64_t i = 0; i < count; i++)
        CHECK(get(to, r->dtype, i) ==
              reduced(r->number, r->dtype, r->reduction, p->comm->size, at + i));
    if (!r->is_in_place) check_guard(to, r, count);
}

static void check_all_gather(struct peer *p, const struct round *r, struct buffers *b) {
    const int own = p->comm->rank;
    void *from = b->from;
    if (r->is_in_place) from = (char *)b->to + (size_t)before(r, own) * dtype_size(r->dtype);
    guard(b->to, r, r->sum);
    fill(from, r, own, r->counts[own]);
    CHECK_OK(exchange(p, p->comm,
                      &(struct comm_op){.kind = COMM_ALL_GATHER,
                                        .dtype = r->dtype,
                                        .from = from,
                                        .to = b->to,
                                        .counts = r->counts}),
             p->err);
    for (int rank = 0; rank < p->comm->size; rank++)
        for (int64_t i = 0; i < r->counts[rank]; i++)
            CHECK(get(b->to, r->dtype, before(r, rank) + i) ==
                  stored(r->dtype, value_of(r->number, rank, i)));
    check_guard(b->to, r, r->sum);
}

static void check_broadcast(struct peer *p, const struct round *r, struct buffers *b) {
    fill(b->to, r, p->comm->rank, r->count);
    guard(b->to, r, r->count);
    CHECK_OK(exchange(p, p->comm,
                      &(struct comm_op){.kind = COMM_BROADCAST,
                                        .dtype = r->dtype,
                                        .peer = r->root,
                                        .to = b->to,
                                        .count = r->count}),
             p->err);
    for (int64_t i = 0; i < r->count; i++)
        CHECK(get(b->to, r->dtype, i) == stored(r->dtype, value_of(r->number, r->root, i)));
    check_guard(b->to, r, r->count);
}

/* Rank i sends to rank j as many as the round's counts say for (i + 2j). */
static void check_all_to_all(struct peer *p, const struct round *r, struct buffers *b) {
    const int own = p->comm->rank, n = p->comm->size;
    int64_t out[MOST_RANKS], in[MOST_RANKS], sent = 0, received = 0, at = 0;
    for (int i = 0; i < n; i++) {
        sent += out[i] = r->counts[(own + 2 * i) % n];
        received += in[i] = r->counts[(i + 2 * own) % n];
    }
    CHECK(sent <= MOST_RANKS * MOST && received <= MOST_RANKS * MOST);
    for (int to = 0, base = 0; to < n; base += (int)out[to++])
        for (int64_t i = 0; i < out[to]; i++)
            put(b->from, r->dtype, base + i, value_of(r->number, own * 100 + to, i));
    guard(b->to, r, received);
    CHECK_OK(exchange(p, p->comm,
                      &(struct comm_op){.kind = COMM_ALL_TO_ALL,
                                        .dtype = r->dtype,
                                        .from = b->from,
                                        .to = b->to,
                                        .counts = in,
                                        .from_counts = out}),
             p->err);
    for (int from = 0; from < n; at += in[from++])
        for (int64_t i = 0; i < in[from]; i++)
            CHECK(get(b->to, r->dtype, at + i) ==
                  stored(r->dtype, value_of(r->number, from * 100 + own, i)));
    check_guard(b->to, r, received);
}

static fathom_status random_collectives(struct peer *p) {
    struct buffers b = new_buffers();
    for (uint64_t number = 0; number < ROUNDS; number++) {
        const struct round r = round_of(number, p->comm->size);
        check_all_reduce(p, &r, &b);
        check_reduce_scatter(p, &r, &b);
        check_all_gather(p, &r, &b);
        check_broadcast(p, &r, &b);
        check_all_to_all(p, &r, &b);
    }
    free_buffers(&b);
    return FATHOM_OK;
}
static void collectives_have_the_sums_and_blocks_of_all_ranks(void) { run_all(random_collectives); }

/* ---- order ---- */

/* Nobody passes a barrier before everybody has come: each sees every other's mark. */
static _Atomic int marks[MOST_RANKS];
static fathom_status meet_often(struct peer *p) {
    marks[p->comm->rank] = 0;
    TRY(exchange(p, p->comm, &(struct comm_op){.kind = COMM_BARRIER}));
    for (int round = 1; round <= 300; round++) {
        marks[p->comm->rank] = round;
        TRY(exchange(p, p->comm, &(struct comm_op){.kind = COMM_BARRIER}));
        for (int i = 0; i < p->comm->size; i++) CHECK(marks[i] == round || marks[i] == round + 1);
    }
    return FATHOM_OK;
}
static void nobody_passes_a_barrier_alone(void) { run_all(meet_often); }

/* As many as may be in flight, over and over; each its own sum. */
static fathom_status many_in_flight(struct peer *p) {
    struct comm_request requests[COMM_PENDING_MAX];
    double values[COMM_PENDING_MAX][3];
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t k = 0; k < COMM_PENDING_MAX; k++) {
            for (int64_t i = 0; i < 3; i++) values[k][i] = value_of(k + round, p->comm->rank, i);
            comm_begin(p->comm, &p->stream,
                       &(struct comm_op){.kind = COMM_ALL_REDUCE,
                                         .dtype = DTYPE_F64,
                                         .from = values[k],
                                         .to = values[k],
                                         .count = 3},
                       &requests[k]);
        }
        for (int k = 0; k < COMM_PENDING_MAX; k++) comm_finish(&requests[k]);
        TRY(stream_check(&p->stream, p->err));
        for (uint64_t k = 0; k < COMM_PENDING_MAX; k++)
            for (int64_t i = 0; i < 3; i++)
                CHECK(values[k][i] == reduced(k + round, DTYPE_F64, COMM_SUM, p->comm->size, i));
    }
    return FATHOM_OK;
}
static void many_collectives_may_be_in_flight(void) { run_all(many_in_flight); }

/* ---- messages ---- */

static struct comm_op message(enum comm_kind kind, int peer, int tag, int32_t *values,
                              int64_t count) {
    return (struct comm_op){.kind = kind,
                            .dtype = DTYPE_I32,
                            .peer = peer,
                            .tag = tag,
                            .from = kind == COMM_SEND ? values : NULL,
                            .to = kind == COMM_RECEIVE ? values : NULL,
                            .count = count};
}

/* Everybody sends several messages to everybody, itself too, before anybody receives. */
static fathom_status send_to_all(struct peer *p) {
    enum { MESSAGES = 3, LENGTH = 40 };
    const int n = p->comm->size, own = p->comm->rank;
    struct comm_request sends[MOST_RANKS][MESSAGES];
    int32_t out[MOST_RANKS][MESSAGES][LENGTH], in[LENGTH];
    for (int round = 0; round < 30; round++) {
        for (int k = 0; k < MESSAGES; k++) {
            for (int to = 0; to < n; to++) {
                for (int i = 0; i < LENGTH; i++)
                    out[to][k][i] = own * 1000 + to * 100 + k * 10 + i + round;
                const struct comm_op op = message(COMM_SEND, to, k, out[to][k], (k * 17) % LENGTH);
                comm_begin(p->comm, &p->stream, &op, &sends[to][k]);
            }
        }
        for (int from = n - 1; from >= 0; from--) {
            for (int k = 0; k < MESSAGES; k++) {
                const struct comm_op op = message(COMM_RECEIVE, from, k, in, (k * 17) % LENGTH);
                TRY(exchange(p, p->comm, &op));
                for (int i = 0; i < op.count; i++)
                    CHECK_EQ(in[i], from * 1000 + own * 100 + k * 10 + i + round);
            }
        }
        for (int to = 0; to < n; to++)
            for (int k = 0; k < MESSAGES; k++) comm_finish(&sends[to][k]);
        TRY(stream_check(&p->stream, p->err));
    }
    return FATHOM_OK;
}
static void messages_arrive_in_the_order_of_their_sending(void) { run_all(send_to_all); }

/* Two neighbours exchange at once: receives begun first, sends finished last. */
static fathom_status pass_around(struct peer *p) {
    const int n = p->comm->size, next = (p->comm->rank + 1) % n,
              previous = (p->comm->rank + n - 1) % n;
    int32_t value = p->comm->rank;
    for (int step = 0; step < 5 * n; step++) {
        int32_t incoming = -1;
        struct comm_request in, out;
        const struct comm_op receive = message(COMM_RECEIVE, previous, step, &incoming, 1);
        const struct comm_op send = message(COMM_SEND, next, step, &value, 1);
        comm_begin(p->comm, &p->stream, &receive, &in);
        comm_begin(p->comm, &p->stream, &send, &out);
        comm_finish(&in);
        comm_finish(&out);
        TRY(stream_check(&p->stream, p->err));
        value = incoming;
    }
    CHECK_EQ(value, p->comm->rank);
    return FATHOM_OK;
}
static void a_value_passed_around_comes_back(void) { run_all(pass_around); }

/* ---- groups ---- */

static fathom_status check_group(struct peer *p, struct comm *group, int colour) {
    const int own = p->comm->rank, n = p->comm->size;
    int expected = 0;
    for (int rank = 0; rank < n; rank++) expected += rank % 3 == colour;
    CHECK_EQ(group->size, expected);
    CHECK_EQ(group->rank, expected - 1 - own / 3); /* the key reverses the order */
    int64_t sum = own, wanted = 0;
    for (int rank = colour; rank < n; rank += 3) wanted += rank;
    TRY(exchange(
        p, group,
        &(struct comm_op){
            .kind = COMM_ALL_REDUCE, .dtype = DTYPE_I64, .from = &sum, .to = &sum, .count = 1}));
    CHECK_EQ(sum, wanted);
    return FATHOM_OK;
}

/* Colours 0 and 1 make groups, 2 none; groups are split again. */
static fathom_status split_and_sum(struct peer *p) {
    const int own = p->comm->rank, colour = own % 3;
    struct comm *group = NULL, *alone = NULL;
    TRY(comm_split(&group, p->comm, &p->stream, colour == 2 ? -1 : colour, -own, p->err));
    CHECK((group == NULL) == (colour == 2));
    for (int round = 0; group && round < 20; round++) TRY(check_group(p, group, colour));
    if (group) {
        TRY(comm_split(&alone, group, &p->stream, own, 0, p->err));
        CHECK(alone->size == 1 && alone->rank == 0);
        TRY(exchange(p, alone, &(struct comm_op){.kind = COMM_BARRIER}));
    }
    comm_free(alone);
    comm_free(group);
    return exchange(p, p->comm, &(struct comm_op){.kind = COMM_BARRIER});
}
static void groups_are_split_by_colour_and_key(void) { run_all(split_and_sum); }

/* ---- the rest ---- */

static fathom_status agree_on(struct peer *p) {
    const int own = p->comm->rank;
    TRY(comm_agree(p->comm, &p->stream, FATHOM_OK, p->err));
    if (p->comm->size < 3) return FATHOM_OK;
    struct error fault = {0};
    fathom_status status = FATHOM_OK;
    if (own == 1) status = error_set(&fault, FATHOM_IO, "the disk is full");
    if (own == 2) status = error_set(&fault, FATHOM_BAD_INPUT, "damaged");
    status = comm_agree(p->comm, &p->stream, status, &fault);
    CHECK_STATUS(status, own == 2 ? FATHOM_BAD_INPUT : FATHOM_IO);
    if (own == 1) CHECK_STR(fault.text, "the disk is full");
    if (own != 1 && own != 2) CHECK_STR(fault.text, "rank 1 failed (input/output)");
    return FATHOM_OK;
}
static void ranks_agree_on_a_failure_and_go_on(void) { run_all(agree_on); }

static fathom_status exchange_dry(struct peer *p) {
    struct comm_request request;
    float value = 3;
    const struct comm_op op = {
        .kind = COMM_ALL_REDUCE, .dtype = DTYPE_F32, .from = &value, .to = &value, .count = 1};
    struct stream dry;
    stream_init_dry(&dry, p->stream.device);
    if (p->comm->rank == 0) {
        comm_begin(p->comm, &dry, &op, &request);
        comm_finish(&request);
        comm_run(p->comm, &dry, &op);
    }
    CHECK(value == 3);
    return exchange(p, p->comm, &(struct comm_op){.kind = COMM_BARRIER});
}
static void a_dry_stream_exchanges_nothing(void) { run_all(exchange_dry); }

static const struct test tests[] = {
    TEST(collectives_have_the_sums_and_blocks_of_all_ranks),
    TEST(nobody_passes_a_barrier_alone),
    TEST(many_collectives_may_be_in_flight),
    TEST(messages_arrive_in_the_order_of_their_sending),
    TEST(a_value_passed_around_comes_back),
    TEST(groups_are_split_by_colour_and_key),
    TEST(ranks_agree_on_a_failure_and_go_on),
    TEST(a_dry_stream_exchanges_nothing),
};
HARNESS_MAIN(tests)
