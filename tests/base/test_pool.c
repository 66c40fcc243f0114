/* The pool's promises: every tile once, the same result for any number of threads, no lost wake-up,
 * no late worker in a later run. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/rng.h"
#include "harness.h"

enum { MAX_TILES = 700 };
static struct error err;

static struct pool *new_pool(int threads) {
    struct pool *pool = NULL;
    CHECK_OK(pool_new(&pool, threads, &err), &err);
    CHECK_EQ(pool_threads(pool), threads);
    return pool;
}

/* Plain counters: a tile that two threads run is a race for the thread sanitizer, and a result that
 * the caller does not see is a wrong count. */
struct job {
    int threads;
    uint32_t number;
    int64_t tiles;
    uint32_t ran_in[MAX_TILES]; /* the run that ran this tile last */
    uint32_t times[MAX_TILES];
};

/* Some microseconds at most, uneven, so that threads meet in every order. */
static void take_a_while(int64_t tile, uint32_t number) {
    for (volatile uint32_t k = ((uint32_t)tile * 37 + number * 11) % 1500; k > 0; k = k - 1) {
    }
}

static void note_tile(void *arg, int64_t tile, int worker) {
    struct job *job = arg;
    if (tile < 0 || tile >= job->tiles || worker < 0 || worker >= job->threads) abort();
    job->ran_in[tile] = job->number;
    job->times[tile]++;
    if (job->tiles < 20) take_a_while(tile, job->number);
}

static void run_and_check(struct pool *pool, struct job *job) {
    job->number++;
    memset(job->times, 0, sizeof job->times);
    pool_run(pool, job->tiles, note_tile, job);
    for (int64_t i = 0; i < MAX_TILES; i++) {
        uint32_t expected = i < job->tiles;
        if (job->times[i] == expected && (!expected || job->ran_in[i] == job->number)) continue;
        harness_fail(__FILE__, __LINE__, "run %u of %lld tiles, %d threads: tile %lld ran %u times",
                     job->number, (long long)job->tiles, job->threads, (long long)i, job->times[i]);
    }
}

static void run_many(int threads, int runs) {
    struct rng_key key = {.seed = 1, .purpose = RNG_TEST, .stream = (uint64_t)threads};
    struct pool *pool = new_pool(threads);
    struct job *job = NULL;
    CHECK_OK(MEM_NEW(&job, 1, "a job", &err), &err);
    job->threads = threads;
    for (int i = 0; i < runs; i++) {
        uint64_t most = i % 100 == 0 ? MAX_TILES + 1 : 12;
        job->tiles = (int64_t)rng_below(key, (uint64_t)i, most);
        run_and_check(pool, job);
    }
    mem_free(job);
    pool_free(pool);
}

static void every_tile_runs_once_in_10000_random_runs(void) {
    for (int threads = 1; threads <= 4; threads++) run_many(threads, 10000);
}

static void many_more_threads_than_processors_work(void) { run_many(24, 500); }

/* The two jobs differ in function, argument and size: a worker that comes late from the one must
 * not touch the other. The argument of a finished run is poisoned at once. */
struct sum {
    int64_t tiles;
    _Atomic int64_t total;
};

static void add_tile(void *arg, int64_t tile, int worker) {
    struct sum *sum = arg;
    (void)worker;
    if (tile >= sum->tiles) abort();
    take_a_while(tile, (uint32_t)sum->tiles);
    atomic_fetch_add_explicit(&sum->total, tile + 1, memory_order_relaxed);
}

static void late_workers_never_enter_the_next_run(void) {
    struct pool *pool = new_pool(4);
    for (int i = 0; i < 20000; i++) {
        struct sum sum = {.tiles = 2 + i % 7};
        pool_run(pool, sum.tiles, add_tile, &sum);
        CHECK_EQ(atomic_load(&sum.total), sum.tiles * (sum.tiles + 1) / 2);
        sum.tiles = -1;
    }
    pool_free(pool);
}

/* Each tile's own sum, in a fixed order: the bits must not depend on who ran it. */
enum { SERIES = 97, TERMS = 500 };
static void sum_series(void *arg, int64_t tile, int worker) {
    float *out = arg, total = 0;
    (void)worker;
    for (int i = 1; i <= TERMS; i++) total += 1.0f / (float)(i * (tile + 1));
    out[tile] = total;
}

static void results_are_equal_for_any_number_of_threads(void) {
    float expected[SERIES], got[SERIES];
    for (int threads = 1; threads <= 4; threads++) {
        struct pool *pool = new_pool(threads);
        memset(got, 0xff, sizeof got);
        pool_run(pool, SERIES, sum_series, got);
        if (threads == 1) memcpy(expected, got, sizeof got);
        harness_context("%d threads", threads);
        CHECK(memcmp(expected, got, sizeof got) == 0);
        pool_free(pool);
    }
}

/* Two tiles that wait for each other end only if a second thread takes one. */
struct meeting {
    _Atomic int arrived;
};

static void meet(void *arg, int64_t tile, int worker) {
    struct meeting *meeting = arg;
    (void)tile, (void)worker;
    atomic_fetch_add(&meeting->arrived, 1);
    while (atomic_load(&meeting->arrived) < 2) usleep(50);
}

static void sleeping_workers_wake(void) {
    struct pool *pool = new_pool(2);
    for (int i = 0; i < 50; i++) {
        struct meeting meeting = {0};
        usleep(i % 5 == 0 ? 3000 : 60); /* asleep; or just about to be */
        pool_run(pool, 2, meet, &meeting);
        CHECK_EQ(atomic_load(&meeting.arrived), 2);
    }
    pool_free(pool);
}

/* The caller ends its tile at once and sleeps until the other thread's long one is done. */
static void dawdle(void *arg, int64_t tile, int worker) {
    _Atomic int *done = arg;
    (void)tile;
    if (worker != 0)
        usleep(2000);
    else
        while (atomic_load(done) == 0) usleep(50);
    atomic_fetch_add(done, 1);
}

static void start_other(void *arg, int64_t tile, int worker) {
    _Atomic int *started = arg;
    (void)tile;
    atomic_fetch_add(started, 1);
    while (atomic_load(started) < 2) usleep(20);
    if (worker != 0) usleep(2000);
}

static void a_sleeping_caller_wakes(void) {
    struct pool *pool = new_pool(2);
    for (int i = 0; i < 30; i++) {
        _Atomic int started = 0, done = 0;
        pool_run(pool, 2, start_other, &started);
        CHECK_EQ(atomic_load(&started), 2);
        pool_run(pool, 3, dawdle, &done);
        CHECK_EQ(atomic_load(&done), 3);
    }
    pool_free(pool);
}

static void an_idle_pool_takes_no_processor_time(void) {
    struct pool *pool = new_pool(4);
    struct sum sum = {.tiles = 64};
    pool_run(pool, sum.tiles, add_tile, &sum);
    usleep(20000);
    double before = clock_process_seconds();
    usleep(200000);
    CHECK_NEAR(clock_process_seconds() - before, 0, 0.02);
    pool_free(pool);
}

static void odd_requests_are_answered(void) {
    struct pool *pool = NULL;
    CHECK_STATUS(pool_new(&pool, -1, &err), FATHOM_USAGE);
    CHECK_STATUS(pool_new(&pool, 1025, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "1025 threads");
    CHECK(pool == NULL);
    pool_free(NULL);
    CHECK_OK(pool_new(&pool, 0, &err), &err);
    CHECK_EQ(pool_threads(pool), pool_available_processors());
    pool_run(pool, 0, add_tile, NULL);
    pool_run(pool, -5, add_tile, NULL);
    struct sum sum = {.tiles = 1};
    pool_run(pool, 1, add_tile, &sum);
    CHECK_EQ(atomic_load(&sum.total), 1);
    pool_free(pool);
}

static void pools_start_and_stop_in_any_state(void) {
    for (int i = 0; i < 300; i++) {
        struct pool *pool = new_pool(1 + i % 4);
        struct sum sum = {.tiles = 3};
        if (i % 3 > 0) pool_run(pool, sum.tiles, add_tile, &sum);
        if (i % 3 == 2) usleep(200);
        pool_free(pool);
    }
}

static void two_pools_work_at_once(void) {
    struct pool *a = new_pool(2), *b = new_pool(3);
    for (int i = 0; i < 1000; i++) {
        struct sum sum = {.tiles = 5};
        pool_run(i % 2 ? a : b, sum.tiles, add_tile, &sum);
        CHECK_EQ(atomic_load(&sum.total), 15);
    }
    pool_free(a);
    pool_free(b);
}

static void do_nothing(void *arg, int64_t tile, int worker) { (void)arg, (void)tile, (void)worker; }

static void the_latency_of_an_empty_run_is_printed(void) {
    enum { RUNS = 20000 };
    struct pool *pool = new_pool(2);
    for (int i = 0; i < 100; i++) pool_run(pool, 2, do_nothing, NULL);
    double begin = clock_seconds();
    for (int i = 0; i < RUNS; i++) pool_run(pool, 2, do_nothing, NULL);
    printf("an empty run of 2 tiles on 2 threads: %.2f us\n",
           1e6 * (clock_seconds() - begin) / RUNS);
    pool_free(pool);
}

static const struct test tests[] = {
    TEST(every_tile_runs_once_in_10000_random_runs),
    TEST(many_more_threads_than_processors_work),
    TEST(late_workers_never_enter_the_next_run),
    TEST(results_are_equal_for_any_number_of_threads),
    TEST(sleeping_workers_wake),
    TEST(a_sleeping_caller_wakes),
    TEST(an_idle_pool_takes_no_processor_time),
    TEST(odd_requests_are_answered),
    TEST(pools_start_and_stop_in_any_state),
    TEST(two_pools_work_at_once),
    TEST(the_latency_of_an_empty_run_is_printed),
};
HARNESS_MAIN(tests)
