/* Every allocation of a training run fails once: the run says so or does without, leaves nothing
 * behind (the address sanitizer looks for leaks), and what it was cut off from goes on to the
 * undisturbed run's bits. FATHOM_TEST_FAULTS says how many are tried. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "pretrain_test.h"
#include "train/checkpoint.h"

static struct error err;

static int64_t faults_wanted(void) {
    const char *text = getenv("FATHOM_TEST_FAULTS");
    return text && atoll(text) > 0 ? atoll(text) : 12;
}

/* Few steps with all that allocates: an average, two checkpoints, a held-out loss, batches passed.
 */
static void small_world(struct world *w, int threads) {
    static char second[] = "2";
    world_open(w, threads);
    w->options.steps = 3;
    w->options.save_every = 2;
    w->options.heldout_every = 2;
    w->options.keep = 1;
    w->options.ema = 0.5;
    w->options.skip_batches = second;
}

/* Goes on, or begins where there is nothing yet to go on from. */
static void finish(struct world *w, uint64_t weights) {
    w->options.resume = checkpoint_exists(w->out);
    CHECK_OK(pretrain_run(&w->options, w->device, &err), &err);
    CHECK(hash_of(w->out, "model.safetensors") == weights);
    w->options.resume = false;
}

/* Runs with its n-th allocation failing; false when it makes no n of them. */
static bool run_without(struct world *w, int64_t n) {
    err = (struct error){0};
    mem_fail_after(n);
    fathom_status status = pretrain_run(&w->options, w->device, &err);
    if (mem_fail_after(0) > 0) return false;
    if (status == FATHOM_OK) return true; /* it was for what a run can do without */
    CHECK_STATUS(status, FATHOM_NO_MEMORY);
    CHECK_EQ(err.status, FATHOM_NO_MEMORY);
    CHECK(err.text[0]);
    return true;
}

static int64_t count_allocations(struct world *w) {
    const int64_t many = INT64_MAX / 2;
    mem_fail_after(many);
    CHECK_OK(pretrain_run(&w->options, w->device, &err), &err);
    return many - mem_fail_after(0);
}

static void a_new_run_survives(void) {
    struct world w;
    small_world(&w, 2);
    const int64_t count = count_allocations(&w), step = count / faults_wanted() + 1;
    const uint64_t weights = hash_of(w.out, "model.safetensors");
    CHECK(count > 100);
    for (int64_t n = 1; n <= count; n += step) {
        harness_context("allocation %lld of %lld", (long long)n, (long long)count);
        CHECK_OK(path_remove(w.out, &err), &err);
        CHECK(run_without(&w, n));
        if (path_exists(w.out)) finish(&w, weights);
    }
    world_close(&w);
}

static void a_resumed_run_survives(void) {
    struct world w;
    small_world(&w, 1);
    w.options.keep = 2;
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    const uint64_t weights = hash_of(w.out, "model.safetensors");
    remove_step(&w, 3);
    w.options.resume = true;
    const int64_t count = count_allocations(&w), step = count / faults_wanted() + 1;
    for (int64_t n = 1 + step / 2; n <= count; n += step) {
        harness_context("allocation %lld of %lld", (long long)n, (long long)count);
        remove_step(&w, 3);
        w.options.resume = true;
        CHECK(run_without(&w, n));
        finish(&w, weights);
    }
    world_close(&w);
}

static const struct test tests[] = {
    TEST_LONG(a_new_run_survives, 600),
    TEST_LONG(a_resumed_run_survives, 600),
};
HARNESS_MAIN(tests)
