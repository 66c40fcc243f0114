/* Whole runs on several ranks: against one rank, resumed with another number, and what goes wrong.
 */
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "pretrain_test.h"
#include "train/metrics_log.h"

enum { STEPS = 6 };
static struct error err;

/* Ranks, and the stages of a pipeline that they form. */
struct layout {
    int64_t ranks, stages;
};
static void lay_out(struct world *w, struct layout layout) {
    w->options.ranks = layout.ranks;
    w->options.pipeline_stages = layout.stages;
    harness_context("%d ranks, %d stages", (int)layout.ranks, (int)layout.stages);
    CHECK_OK(pretrain_check(&w->options, &err), &err);
}

static void open_world(struct world *w, int64_t ranks) {
    world_open(w, 1);
    w->options.batch = 8;
    w->options.micro_batch = 2;
    w->options.ranks = ranks;
    CHECK_OK(pretrain_check(&w->options, &err), &err);
}

static fathom_status run(const struct world *w) {
    return pretrain_run(&w->options, w->device, &err);
}

static void check_near(double value, double expected) {
    CHECK(isnan(value) == isnan(expected));
    if (!isnan(expected)) CHECK_NEAR(value / expected, 1, 1e-5);
}

/* Both metrics have the same steps with the same numbers but for rounding. */
static void check_alike(const struct metrics_log *log, const struct metrics_log *expected) {
    CHECK_EQ(log->count, STEPS);
    CHECK_EQ(expected->count, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        const struct metrics_row *a = &log->rows[i], *b = &expected->rows[i];
        CHECK(a->step == b->step && a->tokens == b->tokens);
        CHECK(a->learning_rate == b->learning_rate);
        check_near(a->loss, b->loss);
        check_near(a->mtp_loss, b->mtp_loss);
        check_near(a->heldout, b->heldout);
        check_near(a->grad_norm, b->grad_norm);
    }
}

static void take_metrics(struct metrics_log *log, const struct world *w) {
    CHECK_OK(metrics_log_read(log, w->out, &err), &err);
}

static void remove_run(const struct world *w) { CHECK_OK(path_remove(w->out, &err), &err); }

static void ranks_leave_what_one_leaves(void) {
    static const struct layout layouts[] = {{1, 1}, {2, 1}, {4, 1}, {2, 2}, {4, 2}};
    struct world w;
    struct metrics_log one = {0}, many = {0};
    open_world(&w, 1);
    CHECK_OK(pretrain_run(&w.options, w.device, &err), &err);
    take_metrics(&one, &w);
    for (int i = 0; i < 5; i++) {
        remove_run(&w);
        lay_out(&w, layouts[i]);
        CHECK_OK(run(&w), &err);
        take_metrics(&many, &w);
        check_alike(&many, &one);
        metrics_log_free(&many);
    }
    metrics_log_free(&one);
    world_close(&w);
}

/* A run as `first` says, cut after step 2, then: the same bits in the same layout again, the same
 * numbers in others. */
static void check_goes_on(struct layout first, const struct layout *layouts, int count) {
    struct world w;
    struct metrics_log whole = {0}, resumed = {0};
    open_world(&w, 1);
    w.options.ema = 0.9;
    lay_out(&w, first);
    CHECK_OK(run(&w), &err);
    take_metrics(&whole, &w);
    const uint64_t state = hash_of(w.out, "step-00000006/state/state.safetensors");
    const uint64_t ema = hash_of(w.out, "ema/model.safetensors");
    w.options.resume = true;
    for (int i = 0; i < count; i++) {
        remove_step(&w, 6);
        remove_step(&w, 4);
        lay_out(&w, layouts[i]);
        CHECK_OK(run(&w), &err);
        take_metrics(&resumed, &w);
        check_alike(&resumed, &whole);
        metrics_log_free(&resumed);
        if (layouts[i].ranks != first.ranks || layouts[i].stages != first.stages) continue;
        CHECK(hash_of(w.out, "step-00000006/state/state.safetensors") == state);
        CHECK(hash_of(w.out, "ema/model.safetensors") == ema);
    }
    metrics_log_free(&whole);
    world_remove(&w);
}

static void a_run_goes_on_with_another_number_of_ranks(void) {
    static const struct layout layouts[] = {{2, 1}, {1, 1}, {4, 1}, {2, 2}};
    check_goes_on(layouts[0], layouts, 4);
}

static void a_pipeline_goes_on_with_other_ranks(void) {
    static const struct layout layouts[] = {{2, 2}, {1, 1}, {4, 2}, {4, 1}};
    check_goes_on(layouts[0], layouts, 4);
    check_goes_on(layouts[2], layouts, 4);
}

static void ranks_that_divide_the_experts_leave_the_same(void) {
    struct world w;
    struct metrics_log one = {0}, many = {0};
    open_world(&w, 1);
    CHECK_OK(run(&w), &err);
    take_metrics(&one, &w);
    remove_run(&w);
    w.options.ranks = 4;
    w.options.expert_parallel = true;
    CHECK_OK(run(&w), &err);
    take_metrics(&many, &w);
    check_alike(&many, &one);
    w.options.batch_from = 2;
    w.options.ramp_tokens = 12 * 40;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "--expert-parallel");
    metrics_log_free(&one);
    metrics_log_free(&many);
    world_close(&w);
}

/* A batch that grows need not be shared equally on its way. */
static void a_ramp_is_the_same_for_any_number_of_ranks(void) {
    struct world w;
    struct metrics_log one = {0}, many = {0};
    open_world(&w, 1);
    w.options.batch_from = 2;
    w.options.ramp_tokens = 12 * 40;
    CHECK_OK(run(&w), &err);
    take_metrics(&one, &w);
    CHECK(one.rows[0].tokens == 24);
    static const struct layout layouts[] = {{4, 1}, {4, 2}};
    for (int i = 0; i < 2; i++) {
        remove_run(&w);
        lay_out(&w, layouts[i]);
        CHECK_OK(run(&w), &err);
        take_metrics(&many, &w);
        check_alike(&many, &one);
        metrics_log_free(&many);
    }
    metrics_log_free(&one);
    world_close(&w);
}

static void an_interrupt_stops_all_ranks_at_one_step(void) {
    struct world w;
    open_world(&w, 4);
    w.options.pipeline_stages = 2;
    interrupt_install();
    CHECK(raise(SIGTERM) == 0);
    CHECK_STATUS(run(&w), FATHOM_INTERRUPTED);
    CHECK_HAS(err.text, "saved at step 1");
    CHECK_HAS(err.text, "--resume");
    remove_step(&w, 1); /* is there */
    world_close(&w);
}

static void a_damaged_checkpoint_is_passed_over_by_all_ranks(void) {
    struct world w;
    char path[1200];
    open_world(&w, 2);
    CHECK_OK(run(&w), &err);
    const uint64_t state = hash_of(w.out, "step-00000006/state/state.safetensors");
    snprintf(path, sizeof path, "%s/step-00000006/model.safetensors", w.out);
    CHECK(truncate(path, 100) == 0);
    w.options.resume = true;
    CHECK_OK(run(&w), &err);
    CHECK(hash_of(w.out, "step-00000006/state/state.safetensors") == state);
    world_close(&w);
}

static void check_what_one_rank_finds(struct layout layout) {
    struct world w;
    open_world(&w, 1);
    lay_out(&w, layout);
    CHECK_OK(run(&w), &err);
    CHECK_STATUS(run(&w), FATHOM_EXISTS);
    CHECK_HAS(err.text, "already");
    w.options.resume = true;
    CHECK_OK(path_remove(w.data, &err), &err);
    make_data(w.data, 2);
    CHECK_STATUS(run(&w), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "not the data");
    for (int step = 2; step <= STEPS; step += 2) remove_step(&w, step);
    CHECK_STATUS(run(&w), FATHOM_BAD_INPUT);
    CHECK_HAS(err.text, "no checkpoint");
    world_remove(&w);
}

static void what_one_rank_finds_ends_all(void) {
    check_what_one_rank_finds((struct layout){4, 1});
    check_what_one_rank_finds((struct layout){4, 2});
}

static void a_batch_that_ranks_cannot_share_is_refused(void) {
    struct world w;
    open_world(&w, 4);
    w.options.ranks = 3;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_STR(err.text, "--batch 8 is 4 micro-batches of 2, which --ranks 3 cannot share equally");
    w.options.ranks = 6;
    w.options.pipeline_stages = 2;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_STR(err.text,
              "--batch 8 is 4 micro-batches of 2, which 3 pipelines cannot share equally");
    world_close(&w);
}

static void pipelines_that_cannot_be_are_refused(void) {
    struct world w;
    open_world(&w, 4);
    w.options.pipeline_stages = 3;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "--ranks 4 cannot form pipelines of --pipeline-stages 3");
    w.options.pipeline_stages = 2;
    w.options.expert_parallel = true;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "--expert-parallel and --pipeline-stages 2 do not go together");
    w.options.expert_parallel = false;
    char prompt[] = "Once";
    w.options.sample_prompt = prompt;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "--sample-prompt needs the whole model");
    w.options.sample_prompt = NULL;
    lay_out(&w, (struct layout){4, 4});
    CHECK_STATUS(run(&w), FATHOM_USAGE);
    CHECK_HAS(err.text, "4 stages needs as many layers, and the model has 2");
    CHECK(!path_exists(w.out));
    world_close(&w);
}

/* Held-out losses pass through all stages, at a number of sequences that they cannot share. */
static void a_pipeline_measures_what_one_rank_does(void) {
    struct world w;
    struct metrics_log one = {0}, many = {0};
    open_world(&w, 1);
    w.options.heldout_every = 1;
    w.options.heldout_sequences = 7;
    CHECK_OK(run(&w), &err);
    take_metrics(&one, &w);
    remove_run(&w);
    lay_out(&w, (struct layout){4, 2});
    CHECK_OK(run(&w), &err);
    take_metrics(&many, &w);
    CHECK(!isnan(one.rows[0].heldout));
    check_alike(&many, &one);
    metrics_log_free(&one);
    metrics_log_free(&many);
    world_close(&w);
}

/* The stages' plans hold no weight twice but the embedding, which the MTP module reads. */
static void the_plan_of_a_pipeline_divides_the_model(void) {
    struct world w;
    struct model *model = NULL;
    size_t one = 0, two = 0;
    struct trainer_bytes bytes;
    open_world(&w, 2);
    const struct trainer_options options = pretrain_trainer_options(&w.options);
    CHECK_OK(model_open(&model, w.device, w.model, MODEL_GRADS, &err), &err);
    CHECK_OK(trainer_measure(&bytes, model, &options, &err), &err);
    CHECK_OK(pretrain_memory(&w.options, &options, model, &two, &err), &err);
    w.options.ranks = 1;
    CHECK_OK(pretrain_memory(&w.options, &options, model, &one, &err), &err);
    const size_t replicated = two - one;
    struct trainer_options staged = options;
    lay_out(&w, (struct layout){2, 2});
    staged.stages = 2;
    CHECK_OK(pretrain_memory(&w.options, &staged, model, &two, &err), &err);
    const size_t weights = model_bytes(&model->params, DTYPE_F32, 0, model->loads_count);
    CHECK(two < one + replicated - weights);
    model_free(model);
    world_close(&w);
}

/* Everything but the moments is there once for each rank. */
static void the_plan_counts_all_ranks(void) {
    struct world w;
    struct model *model = NULL;
    size_t one = 0, two = 0;
    struct trainer_bytes bytes;
    open_world(&w, 1);
    const struct trainer_options options = pretrain_trainer_options(&w.options);
    CHECK_OK(model_open(&model, w.device, w.model, MODEL_GRADS, &err), &err);
    CHECK_OK(trainer_measure(&bytes, model, &options, &err), &err);
    CHECK_OK(pretrain_memory(&w.options, &options, model, &one, &err), &err);
    w.options.ranks = 2;
    CHECK_OK(pretrain_memory(&w.options, &options, model, &two, &err), &err);
    CHECK(two > 2 * one - bytes.moments - 100 && two < 2 * one - bytes.moments + 100);
    model_free(model);
    world_close(&w);
}

static const struct test tests[] = {
    TEST(ranks_leave_what_one_leaves),
    TEST(a_run_goes_on_with_another_number_of_ranks),
    TEST(a_pipeline_goes_on_with_other_ranks),
    TEST(a_pipeline_measures_what_one_rank_does),
    TEST(ranks_that_divide_the_experts_leave_the_same),
    TEST(a_ramp_is_the_same_for_any_number_of_ranks),
    TEST(an_interrupt_stops_all_ranks_at_one_step),
    TEST(a_damaged_checkpoint_is_passed_over_by_all_ranks),
    TEST(what_one_rank_finds_ends_all),
    TEST(a_batch_that_ranks_cannot_share_is_refused),
    TEST(pipelines_that_cannot_be_are_refused),
    TEST(the_plan_of_a_pipeline_divides_the_model),
    TEST(the_plan_counts_all_ranks),
};
HARNESS_MAIN(tests)
