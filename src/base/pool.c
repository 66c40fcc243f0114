/* Workers wait for a new run number, first spinning, then on a futex. A run is published by writing
 * the job and then the run number (release); tiles are claimed by fetch-and-add on a counter that
 * carries the run number in its upper half, so that a late worker can never claim a tile of a run
 * that it has not seen. The caller leaves when every tile is done, not when every worker has woken:
 * a worker that the system did not schedule costs nothing. */
#include "base/pool.h"

#include <assert.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { MAX_THREADS = 1024, SPIN_CHECKS = 64 };
static const double spin_seconds = 50e-6;

struct worker {
    struct pool *pool;
    pthread_t thread;
    int index;
};

struct pool {
    int threads;
    int started; /* workers whose thread runs */
    struct worker *workers;
    /* The job: written by the caller before `run` is published, constant while tiles remain. */
    pool_fn *fn;
    void *arg;
    /* Atomic because a late worker may look at it. */
    _Atomic int64_t tiles;
    _Atomic uint64_t claim; /* run << 32 | next tile */
    _Atomic int64_t done;
    _Atomic uint32_t run; /* futex: workers sleep on it */
    _Atomic uint32_t
        finished;         /* futex: the caller sleeps on it; the last run whose tiles are done */
    _Atomic int sleepers; /* workers that are, or are about to be, asleep */
    _Atomic bool caller_sleeps;
    _Atomic bool stop;
};

#define TILE_BITS 32
#define CLOSED (((uint64_t)1 << TILE_BITS) - 1)

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word) {
    syscall(SYS_futex, (uint32_t *)word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Spins until *word differs from value, for some microseconds; true when it does. */
static bool spin_while(_Atomic uint32_t *word, uint32_t value) {
    double begin = clock_seconds(), passed;
    do {
        for (int i = 0; i < SPIN_CHECKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
            relax();
        }
        passed = clock_seconds() - begin;
    } while (passed >= 0 && passed < spin_seconds);
    return false;
}

/* Claims and runs tiles of run number `run` until none is left. */
static void work(struct pool *pool, uint32_t run, int worker) {
    for (;;) {
        uint64_t claim = atomic_load_explicit(&pool->claim, memory_order_acquire);
        int64_t tile;
        do {
            if ((uint32_t)(claim >> TILE_BITS) != run) return;
            tile = (int64_t)(claim & CLOSED);
            if (tile >= atomic_load_explicit(&pool->tiles, memory_order_acquire)) return;
        } while (!atomic_compare_exchange_weak_explicit(
            &pool->claim, &claim, claim + 1, memory_order_acq_rel, memory_order_acquire));
        int64_t tiles = atomic_load_explicit(&pool->tiles, memory_order_relaxed);
        pool->fn(pool->arg, tile, worker);
        /* Release: the caller, having seen the last count, sees every tile's writes. */
        if (atomic_fetch_add_explicit(&pool->done, 1, memory_order_acq_rel) + 1 != tiles) continue;
        atomic_store_explicit(&pool->finished, run, memory_order_seq_cst);
        if (atomic_load_explicit(&pool->caller_sleeps, memory_order_seq_cst))
            futex_wake_all(&pool->finished);
        return;
    }
}

static void *worker_main(void *arg) {
    struct worker *self = arg;
    struct pool *pool = self->pool;
    uint32_t seen = 0;
    for (;;) {
        if (!spin_while(&pool->run, seen)) {
            /* seq_cst: either the publisher sees a sleeper, or we see its run number. */
            atomic_fetch_add_explicit(&pool->sleepers, 1, memory_order_seq_cst);
            while (atomic_load_explicit(&pool->run, memory_order_seq_cst) == seen)
                futex_wait(&pool->run, seen);
            atomic_fetch_sub_explicit(&pool->sleepers, 1, memory_order_relaxed);
        }
        seen = atomic_load_explicit(&pool->run, memory_order_acquire);
        if (atomic_load_explicit(&pool->stop, memory_order_relaxed)) return NULL;
        work(pool, seen, self->index);
    }
}

static void publish(struct pool *pool, uint32_t run) {
    atomic_store_explicit(&pool->run, run, memory_order_seq_cst);
    if (atomic_load_explicit(&pool->sleepers, memory_order_seq_cst) > 0) futex_wake_all(&pool->run);
}

static void wait_finished(struct pool *pool, uint32_t run) {
    uint32_t before = run - 1;
    if (spin_while(&pool->finished, before)) return;
    atomic_store_explicit(&pool->caller_sleeps, true, memory_order_seq_cst);
    while (atomic_load_explicit(&pool->finished, memory_order_seq_cst) == before)
        futex_wait(&pool->finished, before);
    atomic_store_explicit(&pool->caller_sleeps, false, memory_order_relaxed);
}

void pool_run(struct pool *pool, int64_t tiles, pool_fn *fn, void *arg) {
    assert(tiles < (int64_t)CLOSED);
    if (tiles <= 0) return;
    if (tiles == 1 || pool->started == 0) {
        for (int64_t tile = 0; tile < tiles; tile++) fn(arg, tile, 0);
        return;
    }
    uint32_t run = atomic_load_explicit(&pool->run, memory_order_relaxed) + 1;
    /* The counter is closed before the job changes: a late worker of the last run that sees the new
     * number of tiles (release, acquire) then fails to claim. */
    atomic_store_explicit(&pool->claim, (uint64_t)run << TILE_BITS | CLOSED, memory_order_relaxed);
    pool->fn = fn;
    pool->arg = arg;
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->tiles, tiles, memory_order_release);
    atomic_store_explicit(&pool->claim, (uint64_t)run << TILE_BITS, memory_order_release);
    publish(pool, run);
    work(pool, run, 0);
    wait_finished(pool, run);
}

/* ---- creation ---- */

int pool_available_processors(void) {
    cpu_set_t set;
    int count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
    long long quota = 0, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0) {
            long long limit = (quota + period - 1) / period;
            if (limit < count) count = (int)limit;
        }
        fclose(file);
    }
    return count < 1 ? 1 : count;
}

static fathom_status start_workers(struct pool *pool, struct error *err) {
    TRY(MEM_NEW(&pool->workers, pool->threads, "the thread pool", err));
    for (int i = 1; i < pool->threads; i++) {
        struct worker *worker = &pool->workers[i];
        *worker = (struct worker){.pool = pool, .index = i};
        int code = pthread_create(&worker->thread, NULL, worker_main, worker);
        if (code != 0)
            return error_set_errno(err, code, "thread %d of %d cannot be started", i + 1,
                                   pool->threads);
        pool->started++;
    }
    return FATHOM_OK;
}

fathom_status pool_new(struct pool **out, int threads, struct error *err) {
    struct pool *pool = NULL;
    *out = NULL;
    if (threads < 0 || threads > MAX_THREADS)
        RAISE(FATHOM_USAGE, "%d threads: the number must lie in [0, %d], 0 for all processors",
              threads, MAX_THREADS);
    TRY(MEM_NEW(&pool, 1, "the thread pool", err));
    pool->threads = threads > 0 ? threads : pool_available_processors();
    fathom_status status = start_workers(pool, err);
    if (status != FATHOM_OK)
        pool_free(pool);
    else
        *out = pool;
    return status;
}

void pool_free(struct pool *pool) {
    if (!pool) return;
    atomic_store_explicit(&pool->stop, true, memory_order_relaxed);
    publish(pool, atomic_load_explicit(&pool->run, memory_order_relaxed) + 1);
    for (int i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    mem_free(pool->workers);
    mem_free(pool);
}

int pool_threads(const struct pool *pool) { return pool->threads; }
