/* The trainer on several data-parallel ranks against one: losses, norms, weights, checkpoints. The
 * model's groups have several chunks each, so that every rank has a shard. */
#include "harness.h"
#include "trial.h"

static struct error err;

/* ---- against one rank ---- */

static void check_ranks_train_as_one(const struct trial *trial) {
    static const int sizes[] = {1, 2, 4};
    struct trial one = trial_plain;
    CHECK_OK(run_trial(&one, 0, &err), &err);
    CHECK(one.metrics[STEPS - 1].loss_main < 0.97 * one.metrics[0].loss_main);
    for (int i = 0; i < 3; i++) {
        struct trial many = *trial;
        CHECK_OK(run_trial(&many, sizes[i], &err), &err);
        check_trial_as_one(&many, sizes[i], &one);
        if (sizes[i] == 1) CHECK(many.weights[0] == one.weights[0]);
    }
}

static void ranks_train_as_one_does(void) { check_ranks_train_as_one(&trial_plain); }

static void ranks_that_divide_the_experts_train_as_one_does(void) {
    struct trial divided = trial_plain;
    divided.divides_experts = true;
    check_ranks_train_as_one(&divided);
}

/* Layers that are computed again send their tokens again, in step with the other ranks. */
static void divided_experts_may_be_recomputed(void) {
    struct trial kept = trial_plain, again = trial_plain;
    kept.divides_experts = again.divides_experts = true;
    again.recompute = RECOMPUTE_LAYER;
    CHECK_OK(run_trial(&kept, 2, &err), &err);
    CHECK_OK(run_trial(&again, 2, &err), &err);
    CHECK(again.weights[0] == kept.weights[0]);
}

/* Three ranks cannot divide eight experts. */
static void experts_that_ranks_cannot_divide_are_refused(void) {
    struct trial divided = trial_plain;
    divided.divides_experts = true;
    CHECK_STATUS(run_trial(&divided, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "8 experts cannot be divided among 3 ranks");
}

/* Ranks without a share add zeros: all that sharding does is then exact. */
static void check_sharding(bool has_bf16_moments) {
    struct trial one = trial_plain;
    one.has_bf16_moments = has_bf16_moments;
    CHECK_OK(run_trial(&one, 0, &err), &err);
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        struct trial many = trial_plain;
        many.is_all_on_0 = true;
        many.has_bf16_moments = has_bf16_moments;
        harness_context("%d ranks, BF16 moments: %d", ranks, has_bf16_moments);
        CHECK_OK(run_trial(&many, ranks, &err), &err);
        for (int step = 0; step < STEPS; step++) {
            CHECK(many.metrics[step].grad_norm == one.metrics[step].grad_norm);
            CHECK(many.metrics[step].loss_total == one.metrics[step].loss_total);
        }
        for (int rank = 0; rank < ranks; rank++) CHECK(many.weights[rank] == one.weights[0]);
    }
}

static void sharding_alone_does_not_change_a_bit(void) {
    check_sharding(false);
    check_sharding(true);
}

static void a_gradient_that_is_not_finite_is_named_on_every_rank(void) {
    struct trial one = trial_plain;
    one.bad_at = 5;
    CHECK_STATUS(run_trial(&one, 0, &err), FATHOM_NOT_FINITE);
    CHECK_HAS(err.text, "the gradient of model.");
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        struct trial many = trial_plain;
        many.bad_at = 5;
        CHECK_STATUS(run_trial(&many, ranks, &err), FATHOM_NOT_FINITE);
        for (int rank = 0; rank < ranks; rank++) {
            CHECK_STATUS(many.outcomes[rank], FATHOM_NOT_FINITE);
            CHECK_STR(many.texts[rank], one.texts[0]);
            CHECK(many.weights[rank] == one.weights[0]);
        }
    }
}

/* ---- shards ---- */

static fathom_status measure(struct trainer_bytes *bytes, struct comm *comm) {
    struct model_config config;
    struct engine *engine = NULL;
    struct device *device = NULL;
    struct model *model = NULL;
    const struct trainer_options options = trial_options(&trial_plain, comm);
    CHECK_OK(engine_new(&engine, 1, &err), &err);
    CHECK_OK(device_open(&device, engine, "cpu", NULL, &err), &err);
    CHECK_OK(config_parse(&config, trial_config, strlen(trial_config), "config", &err), &err);
    CHECK_OK(model_new(&model, device, &config, MODEL_GRADS | MODEL_DRY, &err), &err);
    fathom_status status = trainer_measure(bytes, model, &options, &err);
    model_free(model);
    device_close(device);
    engine_free(engine);
    return status;
}

static void moments_are_divided_among_the_ranks(void) {
    struct trainer_bytes one;
    CHECK_OK(measure(&one, NULL), &err);
    for (int ranks = 2; ranks <= MOST_RANKS; ranks++) {
        size_t sum = 0, largest = 0;
        for (int rank = 0; rank < ranks; rank++) {
            struct trainer_bytes bytes;
            CHECK_OK(measure(&bytes, &(struct comm){.rank = rank, .size = ranks}), &err);
            sum += bytes.moments;
            if (bytes.moments > largest) largest = bytes.moments;
        }
        harness_context("%d ranks", ranks);
        CHECK(sum >= one.moments && sum < one.moments + 1000); /* the norm's chunk sums */
        CHECK(largest <= one.moments / (size_t)ranks + 4 * SUMSQ_CHUNK * sizeof(float));
    }
}

static void shards_meet_at_chunks(void) {
    static const int64_t sizes[] = {0, 1, SUMSQ_CHUNK, SUMSQ_CHUNK + 1, 5 * SUMSQ_CHUNK + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int ranks = 1; ranks <= 8; ranks++) {
            int64_t at = 0;
            for (int rank = 0; rank < ranks; rank++) {
                const struct shard s =
                    zero_shard(sizes[i], &(struct comm){.rank = rank, .size = ranks});
                CHECK_EQ(s.begin, at);
                CHECK(s.begin % SUMSQ_CHUNK == 0 || s.begin == sizes[i]);
                CHECK(s.end >= s.begin);
                at = s.end;
            }
            CHECK_EQ(at, sizes[i]);
        }
    }
}

/* ---- checkpoints ---- */

static void save_on(int ranks, const char *directory) {
    struct trial saved = trial_saving(trial_config, 0, directory);
    CHECK_OK(run_trial(&saved, ranks, &err), &err);
}

static void checkpoints_of_any_number_of_ranks_are_the_same_files(void) {
    const char *one = trial_directory(0);
    save_on(0, one);
    for (int ranks = 1; ranks <= MOST_RANKS; ranks++) {
        const char *many = trial_directory(ranks);
        harness_context("%d ranks", ranks);
        save_on(ranks, many);
        CHECK(trial_file_hash(many, "model.safetensors") ==
              trial_file_hash(one, "model.safetensors"));
        CHECK(trial_file_hash(many, "state/state.safetensors") ==
              trial_file_hash(one, "state/state.safetensors"));
    }
}

/* Three steps, then three more from the checkpoint on another number of ranks. */
static void a_checkpoint_of_two_ranks_goes_on_with_any_number(void) {
    struct trial whole = trial_plain;
    whole.has_bf16_moments = true;
    whole.steps = 6;
    CHECK_OK(run_trial(&whole, 0, &err), &err);
    const char *directory = trial_directory(2);
    save_on(2, directory);
    for (int ranks = 0; ranks <= MOST_RANKS; ranks++) {
        struct trial rest = trial_resuming(trial_config, 0, directory);
        harness_context("%d ranks", ranks);
        CHECK_OK(run_trial(&rest, ranks, &err), &err);
        for (int rank = 0; rank < ranks; rank++) CHECK(rest.weights[rank] == whole.weights[0]);
        CHECK(rest.weights[0] == whole.weights[0]);
    }
}

static void a_save_that_fails_fails_on_every_rank(void) {
    check_trial_fails_to_save(trial_plain, 3);
}

static void every_allocation_may_fail(void) {
    struct trial trial = trial_plain;
    trial.divides_experts = true;
    sweep_trial(&trial);
}

static const struct test tests[] = {
    TEST(ranks_train_as_one_does),
    TEST(ranks_that_divide_the_experts_train_as_one_does),
    TEST(divided_experts_may_be_recomputed),
    TEST(experts_that_ranks_cannot_divide_are_refused),
    TEST(sharding_alone_does_not_change_a_bit),
    TEST(a_gradient_that_is_not_finite_is_named_on_every_rank),
    TEST(moments_are_divided_among_the_ranks),
    TEST(shards_meet_at_chunks),
    TEST(checkpoints_of_any_number_of_ranks_are_the_same_files),
    TEST(a_checkpoint_of_two_ranks_goes_on_with_any_number),
    TEST(a_save_that_fails_fails_on_every_rank),
    TEST_LONG(every_allocation_may_fail, 500),
};
HARNESS_MAIN(tests)
