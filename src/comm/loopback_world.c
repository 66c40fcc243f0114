#include "comm/loopback_world.h"

#include <sched.h>

#include "base/clock.h"
#include "base/memory.h"

enum { SPIN_CHECKS = 64 };
static const double spin_seconds = 50e-6;

fathom_status world_new(struct world **out, int size, struct error *err) {
    struct world *world = NULL;
    *out = NULL;
    TRY(MEM_NEW(&world, 1, "the ranks", err));
    world->size = size;
    fathom_status status =
        mem_new((void **)&world->has_left, (size_t)size, sizeof *world->has_left, "the ranks", err);
    if (status != FATHOM_OK) {
        mem_free(world);
        return status;
    }
    pthread_mutex_init(&world->mutex, NULL); /* neither fails on Linux */
    pthread_cond_init(&world->changed, NULL);
    *out = world;
    return FATHOM_OK;
}

void world_free(struct world *world) {
    if (!world) return;
    pthread_cond_destroy(&world->changed);
    pthread_mutex_destroy(&world->mutex);
    mem_free((void *)world->has_left);
    mem_free(world);
}

void world_notify(struct world *world) {
    if (atomic_load(&world->sleepers) == 0) return;
    pthread_mutex_lock(&world->mutex);
    pthread_cond_broadcast(&world->changed);
    pthread_mutex_unlock(&world->mutex);
}

/* ---- failure ---- */

/* Visits are short: copies. */
static void wait_for_visitors(struct world *world) {
    while (atomic_load(&world->visitors) > 0) sched_yield();
}

void world_abort(struct world *world, int rank, const struct error *why) {
    pthread_mutex_lock(&world->mutex);
    if (!atomic_load(&world->is_aborted)) {
        world->failed_rank = rank;
        world->why = *why;
        atomic_store(&world->is_aborted, true);
        pthread_cond_broadcast(&world->changed);
    }
    pthread_mutex_unlock(&world->mutex);
    wait_for_visitors(world);
}

/* Who failed and why. */
static fathom_status world_raise(struct world *world, struct error *err) {
    struct error why;
    pthread_mutex_lock(&world->mutex);
    int rank = world->failed_rank;
    why = world->why;
    pthread_mutex_unlock(&world->mutex);
    RAISE(FATHOM_PEER, "rank %d failed: %s", rank, why.text);
}

fathom_status world_check(struct world *world, struct error *err) {
    return atomic_load(&world->is_aborted) ? world_raise(world, err) : FATHOM_OK;
}

/* ---- waiting ---- */

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

enum outcome { NOT_YET, READY, ABORTED, LEFT };

/* What is there counts before what has failed: ranks that have all done their part agree. */
static enum outcome look(struct world *world, world_ready_fn *ready, const void *arg,
                         int *missing) {
    /* Read before `ready`: a rank that leaves afterwards may have done its part on the way. */
    const bool is_aborted = atomic_load(&world->is_aborted);
    *missing = -1;
    if (ready(arg, missing)) return READY;
    if (is_aborted) return ABORTED;
    if (*missing < 0 || !atomic_load(&world->has_left[*missing])) return NOT_YET;
    int again = -1;
    return ready(arg, &again) ? READY : LEFT;
}

static enum outcome spin(struct world *world, world_ready_fn *ready, const void *arg,
                         int *missing) {
    const double end = clock_seconds() + spin_seconds;
    do {
        for (int i = 0; i < SPIN_CHECKS; i++) {
            enum outcome outcome = look(world, ready, arg, missing);
            if (outcome != NOT_YET) return outcome;
            relax();
        }
    } while (clock_seconds() < end);
    return NOT_YET;
}

static enum outcome sleep_until(struct world *world, world_ready_fn *ready, const void *arg,
                                int *missing) {
    enum outcome outcome = NOT_YET;
    pthread_mutex_lock(&world->mutex);
    atomic_fetch_add(&world->sleepers, 1);
    while ((outcome = look(world, ready, arg, missing)) == NOT_YET)
        pthread_cond_wait(&world->changed, &world->mutex);
    atomic_fetch_sub(&world->sleepers, 1);
    pthread_mutex_unlock(&world->mutex);
    return outcome;
}

fathom_status world_wait(struct world *world, world_ready_fn *ready, const void *arg,
                         struct error *err) {
    int missing;
    enum outcome outcome = spin(world, ready, arg, &missing);
    if (outcome == NOT_YET) outcome = sleep_until(world, ready, arg, &missing);
    if (outcome == READY) return FATHOM_OK;
    if (outcome == LEFT) {
        struct error why;
        error_set(&why, FATHOM_PEER, "it has ended while others wait for it");
        world_abort(world, missing, &why);
    }
    wait_for_visitors(world);
    return world_raise(world, err);
}

/* ---- visits ---- */

fathom_status world_enter(struct world *world, struct error *err) {
    atomic_fetch_add(&world->visitors, 1);
    if (!atomic_load(&world->is_aborted)) return FATHOM_OK;
    atomic_fetch_sub(&world->visitors, 1);
    wait_for_visitors(world);
    return world_raise(world, err);
}

void world_leave(struct world *world) { atomic_fetch_sub(&world->visitors, 1); }
