/* The trainer on the stages of pipelines against one rank: losses, norms, weights, checkpoints. */
#include "harness.h"
#include "trial.h"

static struct error err;

/* Layers for four stages. MTP modules and a tied head read the embedding on the last one. */
#define DEEP_JSON(modules, is_tied)                                                                \
    "{\"model_type\": \"deepseek_v3\", \"vocab_size\": 512, \"hidden_size\": 64, "                 \
    "\"num_hidden_layers\": 5, \"num_attention_heads\": 2, \"intermediate_size\": 96, "            \
    "\"moe_intermediate_size\": 32, \"qk_nope_head_dim\": 16, \"qk_rope_head_dim\": 8, "           \
    "\"v_head_dim\": 16, \"q_lora_rank\": 24, \"kv_lora_rank\": 32, \"n_routed_experts\": 8, "     \
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 2, \"topk_group\": 1, "     \
    "\"first_k_dense_replace\": 1, \"num_nextn_predict_layers\": " modules ", "                    \
    "\"tie_word_embeddings\": " is_tied ", \"bos_token_id\": 0, \"eos_token_id\": 1}"
static const char deep_json[] = DEEP_JSON("2", "false");
static const char tied_json[] = DEEP_JSON("1", "true");
static const char unshared_json[] = DEEP_JSON("0", "false");

/* Layouts of ranks: stages, and as many replicas of each as the rest makes. */
static const struct layout { int ranks, stages; } layouts[] = {{2, 2}, {3, 3}, {4, 4}, {4, 2}};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

static void stages_train_as_one_rank_does(void) {
    static const char *const configs[] = {deep_json, tied_json, unshared_json};
    for (int c = 0; c < 3; c++) {
        struct trial one = trial_on(configs[c], 0);
        CHECK_OK(run_trial(&one, 0, &err), &err);
        for (int i = 0; i < LAYOUTS; i++) {
            struct trial many = trial_on(configs[c], layouts[i].stages);
            CHECK_OK(run_trial(&many, layouts[i].ranks, &err), &err);
            check_trial_as_one(&many, layouts[i].ranks, &one);
        }
    }
}

/* Every tensor has its gradients from one stage, in the order of the micro-batches. The norm is a
 * sum of the stages', and differs in double precision. */
static void stages_that_share_no_tensor_have_the_bits_of_one_rank(void) {
    struct trial one = trial_on(unshared_json, 0);
    CHECK_OK(run_trial(&one, 0, &err), &err);
    for (int i = 0; i < 3; i++) {
        for (int is_one_by_one = 0; is_one_by_one < 2; is_one_by_one++) {
            struct trial many = trial_on(unshared_json, layouts[i].stages);
            many.is_one_by_one = is_one_by_one;
            many.recompute = is_one_by_one ? RECOMPUTE_LAYER : RECOMPUTE_SELECTIVE;
            harness_context("%d stages, one by one: %d", layouts[i].stages, is_one_by_one);
            CHECK_OK(run_trial(&many, layouts[i].ranks, &err), &err);
            for (int step = 0; step < STEPS; step++) {
                CHECK(many.metrics[step].loss_main == one.metrics[step].loss_main);
                CHECK_NEAR(many.metrics[step].grad_norm / one.metrics[step].grad_norm, 1, 1e-14);
            }
            CHECK(trial_sum(many.weights, layouts[i].ranks, &many) == one.weights[0]);
        }
    }
}

static void a_gradient_that_is_not_finite_is_named_on_every_stage(void) {
    struct trial one = trial_on(unshared_json, 0);
    one.bad_at = 5;
    CHECK_STATUS(run_trial(&one, 0, &err), FATHOM_NOT_FINITE);
    const char *name = strstr(one.texts[0], "the gradient of model.");
    CHECK(name);
    for (int i = 0; i < LAYOUTS; i++) {
        struct trial many = trial_on(unshared_json, layouts[i].stages);
        many.bad_at = 5;
        CHECK_STATUS(run_trial(&many, layouts[i].ranks, &err), FATHOM_NOT_FINITE);
        for (int rank = 0; rank < layouts[i].ranks; rank++) {
            CHECK_STATUS(many.outcomes[rank], FATHOM_NOT_FINITE);
            CHECK_STR(many.texts[rank], many.texts[0]);
            CHECK_HAS(many.texts[rank], name);
        }
        CHECK(trial_sum(many.biases, layouts[i].ranks, &many) == one.biases[0]);
    }
}

static void check_failing_stage(struct layout layout, int fails_on, int64_t fails_at) {
    struct trial many = trial_on(deep_json, layout.stages);
    many.fails_on = fails_on;
    many.fails_at = fails_at;
    harness_context("rank %d of %d, micro-batch %d", fails_on, layout.ranks, (int)fails_at);
    CHECK_STATUS(run_trial(&many, layout.ranks, &err), FATHOM_IO);
    CHECK_HAS(err.text, "no more data");
    for (int rank = 0; rank < layout.ranks; rank++) {
        CHECK_STATUS(many.outcomes[rank], rank == fails_on ? FATHOM_IO : FATHOM_PEER);
        CHECK_HAS(many.texts[rank], "no more data");
    }
}

/* Wherever its messages are, a stage that fails ends the others' waits, which say why. */
static void a_stage_that_fails_ends_all(void) {
    for (int i = 0; i < LAYOUTS; i++) {
        const int replicas = layouts[i].ranks / layouts[i].stages;
        for (int rank = 0; rank < layouts[i].ranks; rank++)
            for (int64_t at = 0; at < BATCH / MICRO / replicas; at++)
                check_failing_stage(layouts[i], rank, at);
    }
}

/* Rank 1 never takes what rank 0 has sent before it failed. */
static void a_stage_that_fails_does_not_wait_for_its_neighbour(void) {
    struct trial many = trial_on(deep_json, 2);
    many.fails_on = 0;
    many.fails_at = 1;
    many.waits_on = 1;
    CHECK_STATUS(run_trial(&many, 2, &err), FATHOM_IO);
    CHECK_STATUS(many.outcomes[1], FATHOM_PEER);
    CHECK_HAS(many.texts[1], "no more data");
}

static void pipelines_that_ranks_cannot_form_are_refused(void) {
    struct trial trial = trial_on(deep_json, 2);
    CHECK_STATUS(run_trial(&trial, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "2 pipeline stages cannot have the same number of 3 ranks each");
    trial.divides_experts = true;
    CHECK_STATUS(run_trial(&trial, 4, &err), FATHOM_UNSUPPORTED);
    CHECK_HAS(err.text, "take one or the other");
    trial = trial_on(trial_config, 3);
    CHECK_STATUS(run_trial(&trial, 3, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "3 stages needs as many layers");
    trial = trial_on(deep_json, 2);
    trial.holds_all = true;
    CHECK_STATUS(run_trial(&trial, 2, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "layers [0, 5) of 5 are not those of stage");
}

/* ---- checkpoints ---- */

static void checkpoints_of_a_pipeline_are_the_same_files(void) {
    const char *one = trial_directory(0);
    struct trial saved = trial_saving(unshared_json, 0, one);
    CHECK_OK(run_trial(&saved, 0, &err), &err);
    for (int i = 0; i < LAYOUTS; i++) {
        const char *many = trial_directory(1 + i);
        harness_context("%d ranks, %d stages", layouts[i].ranks, layouts[i].stages);
        saved = trial_saving(unshared_json, layouts[i].stages, many);
        CHECK_OK(run_trial(&saved, layouts[i].ranks, &err), &err);
        CHECK(trial_file_hash(many, "model.safetensors") ==
              trial_file_hash(one, "model.safetensors"));
        CHECK(trial_file_hash(many, "state/state.safetensors") ==
              trial_file_hash(one, "state/state.safetensors"));
    }
}

/* A checkpoint of each layout of ranks from the `first` on goes on in all, with the bits of one
 * rank where no tensor is shared; the embedding's copies, where there are any, begin and stay
 * alike. */
static void check_layouts_go_on(const char *config, int first, bool has_one_ranks_bits) {
    struct trial whole = trial_on(config, 0);
    whole.has_bf16_moments = true;
    whole.steps = 6;
    CHECK_OK(run_trial(&whole, 0, &err), &err);
    for (int from = first; from < LAYOUTS; from++) {
        const char *directory = trial_directory(from);
        struct trial saved = trial_saving(config, layouts[from].stages, directory);
        CHECK_OK(run_trial(&saved, layouts[from].ranks, &err), &err);
        for (int to = -1; to < LAYOUTS; to++) {
            const struct layout l = to < 0 ? (struct layout){1, 1} : layouts[to];
            struct trial rest = trial_resuming(config, l.stages, directory);
            harness_context("%d ranks, %d stages", l.ranks, l.stages);
            CHECK_OK(run_trial(&rest, l.ranks, &err), &err);
            const uint64_t sum = trial_sum(rest.weights, l.ranks, &rest);
            if (has_one_ranks_bits) CHECK(sum == whole.weights[0]);
            for (int step = 0; step < 3; step++)
                check_trial_near(&rest.metrics[step], &whole.metrics[3 + step], 1e-5);
            const int last = l.ranks - 1;
            CHECK(rest.embeddings[last] == 0 || rest.embeddings[last] == rest.embeddings[0]);
        }
    }
}

static void a_checkpoint_of_a_pipeline_goes_on_in_any_layout(void) {
    check_layouts_go_on(unshared_json, 0, true);
    check_layouts_go_on(deep_json, LAYOUTS - 1, false);
    check_layouts_go_on(tied_json, LAYOUTS - 2, false);
}

/* Several times, as ranks that leave early would race the others. */
static void a_save_that_fails_fails_on_every_stage(void) {
    for (int i = 0; i < 5 * LAYOUTS; i++) {
        const struct layout layout = layouts[i % LAYOUTS];
        check_trial_fails_to_save(trial_on(deep_json, layout.stages), layout.ranks);
    }
}

static void every_allocation_may_fail(void) {
    const struct trial trial = trial_on(trial_small, 2);
    sweep_trial(&trial);
}

static const struct test tests[] = {
    TEST(stages_train_as_one_rank_does),
    TEST(stages_that_share_no_tensor_have_the_bits_of_one_rank),
    TEST(a_gradient_that_is_not_finite_is_named_on_every_stage),
    TEST(a_stage_that_fails_ends_all),
    TEST_LONG(a_stage_that_fails_does_not_wait_for_its_neighbour, 30),
    TEST(pipelines_that_ranks_cannot_form_are_refused),
    TEST(checkpoints_of_a_pipeline_are_the_same_files),
    TEST(a_checkpoint_of_a_pipeline_goes_on_in_any_layout),
    TEST(a_save_that_fails_fails_on_every_stage),
    TEST_LONG(every_allocation_may_fail, 500),
};
HARNESS_MAIN(tests)
