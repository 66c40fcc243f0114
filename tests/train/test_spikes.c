#include "train/spikes.h"

#include "harness.h"

/* A loss that falls as in training, with noise. */
static double falling(int step) {
    return 2 + 6 * exp(-step / 40.0) + 0.05 * sin(step * 1.7) + 0.03 * cos(step * 0.9);
}

static void a_falling_noisy_loss_has_no_spikes(void) {
    struct spikes spikes = {0};
    double mean, limit;
    for (int step = 0; step < 1000; step++) {
        harness_context("step %d", step);
        CHECK(!spikes_add(&spikes, falling(step), &mean, &limit));
    }
    CHECK_NEAR(mean, 2, 0.05);
}

static void a_jump_is_a_spike_and_the_next_step_is_not(void) {
    struct spikes spikes = {0};
    double mean, limit;
    for (int step = 0; step < 500; step++) {
        const double loss = falling(step) + (step == 400 ? 0.5 : 0);
        harness_context("step %d", step);
        CHECK(spikes_add(&spikes, loss, &mean, &limit) == (step == 400));
        if (step == 400) CHECK(limit > mean && limit < loss);
    }
}

static void a_lasting_change_becomes_normal(void) {
    struct spikes spikes = {0};
    double mean, limit;
    int count = 0;
    for (int step = 0; step < 400; step++)
        count += spikes_add(&spikes, 2 + 0.02 * sin(step) + (step >= 200 ? 0.5 : 0), &mean, &limit);
    CHECK(count >= 1 && count <= 20);
    CHECK_NEAR(mean, 2.5, 0.02);
}

static void the_first_steps_have_no_verdict(void) {
    struct spikes spikes = {0};
    double mean, limit;
    for (int step = 0; step < SPIKE_WARMUP; step++)
        CHECK(!spikes_add(&spikes, step % 2 ? 9 : 1, &mean, &limit));
}

static const struct test tests[] = {
    TEST(a_falling_noisy_loss_has_no_spikes),
    TEST(a_jump_is_a_spike_and_the_next_step_is_not),
    TEST(a_lasting_change_becomes_normal),
    TEST(the_first_steps_have_no_verdict),
};
HARNESS_MAIN(tests)
