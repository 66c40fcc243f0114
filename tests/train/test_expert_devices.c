/* Training with V2's devices of experts: balance losses, token dropping, and what is refused. */
#include <math.h>

#include "base/json.h"
#include "base/memory.h"
#include "pretrain_test.h"
#include "train/expert_devices.h"

/* Eight experts on four devices, of which a token reaches two. */
static const char v2_json[] =
    "{\"model_type\": \"deepseek_v2\", \"vocab_size\": 64, \"hidden_size\": 32, "
    "\"num_hidden_layers\": 3, \"num_attention_heads\": 2, \"intermediate_size\": 48, "
    "\"moe_intermediate_size\": 16, \"qk_nope_head_dim\": 8, \"qk_rope_head_dim\": 4, "
    "\"v_head_dim\": 8, \"q_lora_rank\": 12, \"kv_lora_rank\": 16, \"n_routed_experts\": 8, "
    "\"n_shared_experts\": 1, \"num_experts_per_tok\": 2, \"n_group\": 4, \"topk_group\": 2, "
    "\"topk_method\": \"group_limited_greedy\", \"scoring_func\": \"softmax\", "
    "\"norm_topk_prob\": false, \"first_k_dense_replace\": 1, \"bos_token_id\": 0, "
    "\"eos_token_id\": 1}";
enum { MOE_LAYERS = 2, ACTIVE = 2, DEVICES = 4 };
static struct error err;

static void open_world(struct world *w, int threads) {
    world_open(w, threads);
    CHECK_OK(path_remove(w->model, &err), &err);
    make_model(w, v2_json);
    w->options.batch = 8;
    w->options.micro_batch = 2;
}

/* The V2 report's weights, and its capacity. */
static void take_v2_recipe(struct pretrain_options *o) {
    o->balance_counts = 1;
    o->balance_alpha = 0.003;
    o->device_balance_alpha = 0.05;
    o->communication_balance_alpha = 0.02;
    o->capacity_factor = 1;
    o->never_dropped = 0.3;
}

static void run(const struct world *w) {
    CHECK_OK(pretrain_check(&w->options, &err), &err);
    CHECK_OK(pretrain_run(&w->options, w->device, &err), &err);
}

static uint64_t hash_of_run(const struct world *w) { return hash_of(w->out, "model.safetensors"); }

/* ---- what the metrics say ---- */

struct totals {
    double loss, balance_loss, device_violation; /* of the last step; the last a mean over layers */
    double heldout;                              /* of the last measurement */
    double first_loss;
    int64_t steps, routed, dropped;
    bool has_devices, has_drops;
};

static void add_line(struct totals *sum, const json_node *line) {
    const json_node *violation = json_member(line, "device_violation");
    const json_node *dropped = json_member(line, "dropped_slots");
    sum->loss = json_real(json_member(line, "loss"));
    if (sum->steps++ == 0) sum->first_loss = sum->loss;
    sum->balance_loss = json_real(json_member(line, "balance_loss"));
    if (json_member(line, "heldout_loss"))
        sum->heldout = json_real(json_member(line, "heldout_loss"));
    sum->has_devices = violation != NULL;
    sum->has_drops = dropped != NULL;
    sum->device_violation = 0;
    for (size_t i = 0; violation && i < MOE_LAYERS; i++)
        sum->device_violation += json_real(json_element(violation, i)) / MOE_LAYERS;
    if (!dropped) return;
    sum->routed += json_integer(json_member(line, "routed_slots"));
    sum->dropped += json_integer(dropped);
}

static struct totals totals_of(const struct world *w) {
    struct totals sum = {0};
    char path[1200], *text = NULL;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", w->out);
    CHECK_OK(file_read(path, 1 << 20, &text, &size, &err), &err);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        json_node *root = NULL;
        CHECK_OK(json_parse(&root, line, (size_t)(end - line), "metrics", &err), &err);
        add_line(&sum, root);
        json_free(root);
    }
    mem_free(text);
    return sum;
}

static struct totals run_totals(struct world *w) {
    run(w);
    const struct totals totals = totals_of(w);
    CHECK_OK(path_remove(w->out, &err), &err);
    return totals;
}

/* ---- runs ---- */

static void a_run_with_v2s_losses_and_dropping_trains(void) {
    struct world w;
    open_world(&w, 2);
    take_v2_recipe(&w.options);
    w.options.steps = 40;
    w.options.save_every = 0;
    const struct totals sum = run_totals(&w);
    CHECK(sum.loss < 0.7 * sum.first_loss);
    CHECK(sum.has_devices && sum.has_drops);
    CHECK_EQ(sum.routed, 40 * 8 * 12 * MOE_LAYERS * ACTIVE);
    CHECK(sum.dropped > 0 && sum.dropped < sum.routed / 2);
    world_close(&w);
}

/* A V3 model with an MTP module, whose router bias stands still: one MoE layer of 12 tokens and one
 * of 11. */
static void mtp_modules_drop_too(void) {
    struct world w;
    world_open(&w, 2);
    take_v2_recipe(&w.options);
    w.options.bias_speed = 0;
    const struct totals sum = run_totals(&w);
    CHECK_EQ(sum.routed, 6 * 4 * (12 + 11) * ACTIVE);
    CHECK(sum.dropped > 0);
    world_close(&w);
}

/* Each loss is counted: the metrics' balance loss is the sum of the three. */
static void the_balance_loss_is_the_sum_of_its_levels(void) {
    struct world w;
    double parts[3], all = 0;
    open_world(&w, 1);
    take_v2_recipe(&w.options);
    const struct pretrain_options recipe = w.options;
    w.options.steps = 1;
    w.options.save_every = 0;
    for (int level = 0; level < 3; level++) {
        w.options.balance_alpha = level == 0 ? recipe.balance_alpha : 0;
        w.options.device_balance_alpha = level == 1 ? recipe.device_balance_alpha : 0;
        w.options.communication_balance_alpha = level == 2 ? recipe.communication_balance_alpha : 0;
        parts[level] = run_totals(&w).balance_loss;
        CHECK(parts[level] > 0);
        all += parts[level];
    }
    w.options.balance_alpha = recipe.balance_alpha;
    w.options.device_balance_alpha = recipe.device_balance_alpha;
    CHECK_NEAR(run_totals(&w).balance_loss / all, 1, 1e-6);
    world_close(&w);
}

static void check_same_bits(void (*change)(struct world *w)) {
    struct world w;
    open_world(&w, 2);
    take_v2_recipe(&w.options);
    run(&w);
    const uint64_t weights = hash_of_run(&w);
    CHECK(totals_of(&w).dropped > 0);
    change(&w);
    run(&w);
    CHECK(hash_of_run(&w) == weights);
    world_close(&w);
}

static void resume_in_the_middle(struct world *w) {
    remove_step(w, 6);
    remove_step(w, 4);
    w->options.resume = true;
}
static void a_run_that_drops_resumes_with_the_same_bits(void) {
    check_same_bits(resume_in_the_middle);
}

static void recompute_layers(struct world *w) {
    CHECK_OK(path_remove(w->out, &err), &err);
    w->options.recompute = RECOMPUTE_LAYER;
}
static void layers_computed_again_drop_the_same(void) { check_same_bits(recompute_layers); }

static void take_one_thread(struct world *w) {
    const struct pretrain_options options = w->options;
    world_remove(w);
    open_world(w, 1);
    w->options = options;
    w->options.model = w->model;
    w->options.data = w->data;
    w->options.out = w->out;
}
static void threads_drop_the_same(void) { check_same_bits(take_one_thread); }

/* Ranks have the same micro-batches, and so drop the same of them. */
static void check_ranks(bool divides_experts, int64_t stages) {
    struct world w;
    open_world(&w, 1);
    take_v2_recipe(&w.options);
    const struct totals one = run_totals(&w);
    CHECK(one.dropped > 0);
    w.options.expert_parallel = divides_experts;
    w.options.pipeline_stages = stages;
    for (w.options.ranks = 2; w.options.ranks <= 4; w.options.ranks *= 2) {
        const struct totals many = run_totals(&w);
        CHECK_EQ(many.routed, one.routed);
        CHECK_EQ(many.dropped, one.dropped);
        CHECK_NEAR(many.loss / one.loss, 1, 1e-5);
        CHECK_NEAR(many.balance_loss / one.balance_loss, 1, 1e-5);
        CHECK_NEAR(many.heldout / one.heldout, 1, 1e-5);
        CHECK_NEAR(many.device_violation, one.device_violation, 1e-6);
    }
    world_close(&w);
}
static void ranks_drop_what_one_drops(void) { check_ranks(false, 1); }
static void ranks_that_divide_the_experts_drop_what_one_drops(void) { check_ranks(true, 1); }
static void stages_drop_what_one_rank_drops(void) { check_ranks(false, 2); }

static void nothing_is_dropped_where_all_sequences_are_exempt(void) {
    struct world w;
    open_world(&w, 1);
    run(&w);
    CHECK(!totals_of(&w).has_devices && !totals_of(&w).has_drops);
    const uint64_t plain = hash_of_run(&w);
    CHECK_OK(path_remove(w.out, &err), &err);
    w.options.capacity_factor = 1;
    w.options.never_dropped = 1;
    run(&w);
    CHECK(totals_of(&w).has_drops);
    CHECK_EQ(totals_of(&w).dropped, 0);
    CHECK(hash_of_run(&w) == plain);
    CHECK_OK(path_remove(w.out, &err), &err);
    w.options.never_dropped = 0;
    run(&w);
    CHECK(totals_of(&w).dropped > 0);
    CHECK(hash_of_run(&w) != plain);
    world_close(&w);
}

static void about_the_asked_share_is_exempt(void) {
    const struct pretrain_options o = {.seed = 3, .capacity_factor = 1, .never_dropped = 0.1};
    int64_t count = 0;
    for (int64_t sample = 0; sample < 10000; sample++) count += sample_keeps_all_slots(&o, sample);
    CHECK(count > 900 && count < 1100);
}

/* Tokens of a few kinds crowd on some devices; the device-level loss spreads them. */
static void device_balance_evens_the_loads(void) {
    struct world w;
    open_world(&w, 2);
    w.options.steps = 60;
    w.options.save_every = 0;
    w.options.balance_alpha = 0;
    w.options.balance_counts = 1;
    w.options.expert_devices = DEVICES; /* for the metrics alone */
    const double without = run_totals(&w).device_violation;
    w.options.device_balance_alpha = 1;
    const double with = run_totals(&w).device_violation;
    harness_context("violation %g, with the loss %g", without, with);
    CHECK(with < 0.7 * without);
    world_close(&w);
}

/* ---- a trainer alone ---- */

/* -log p of four sequences, measured by a trainer whose training drops slots or not. */
static double measure(const struct world *w, double capacity_factor) {
    struct model *model = NULL;
    struct trainer *trainer = NULL;
    int32_t tokens[4][13];
    struct sequence sequences[4];
    double sum = 0;
    struct trainer_options options = pretrain_trainer_options(&w->options);
    options.devices =
        (struct expert_devices){.count = DEVICES, .reach = 2, .capacity_factor = capacity_factor};
    options.micro_sequences = 4;
    for (uint64_t s = 0; s < 4; s++) {
        for (uint64_t i = 0; i < 13; i++)
            tokens[s][i] = (int32_t)rng_below((struct rng_key){1, RNG_TEST, s}, i, 64);
        sequences[s] = (struct sequence){.tokens = tokens[s], .count = 12};
    }
    CHECK_OK(model_open(&model, w->device, w->model, MODEL_GRADS, &err), &err);
    CHECK_OK(trainer_new(&trainer, model, &options, &err), &err);
    CHECK_OK(trainer_measure_loss(trainer, sequences, 4, &sum, &err), &err);
    trainer_free(trainer);
    model_free(model);
    return sum;
}

static void nothing_is_dropped_in_a_measurement(void) {
    struct world w;
    open_world(&w, 1);
    CHECK(measure(&w, 0) == measure(&w, 0.25));
    world_close(&w);
}

/* ---- what is refused ---- */

static void expect_refusal(const struct pretrain_options *o, const struct model_config *config,
                           const char *part) {
    struct expert_devices devices;
    CHECK_STATUS(expert_devices_of(&devices, o, config, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, part);
}

static struct model_config config_of(const char *json) {
    struct model_config config;
    CHECK_OK(config_parse(&config, json, strlen(json), "config", &err), &err);
    return config;
}

static void devices_are_the_groups_of_the_config(void) {
    const struct model_config config = config_of(v2_json);
    struct pretrain_options o = {0};
    struct expert_devices devices;
    CHECK_OK(expert_devices_of(&devices, &o, &config, &err), &err);
    CHECK_EQ(devices.count, 0);
    take_v2_recipe(&o);
    CHECK_OK(expert_devices_of(&devices, &o, &config, &err), &err);
    CHECK_EQ(devices.count, 4);
    CHECK_EQ(devices.reach, 2);
    o.expert_devices = 2;
    expect_refusal(&o, &config, "the model routes to 2 of 4 groups of experts");
}

static void devices_without_groups_must_be_said_and_divide_the_experts(void) {
    struct model_config config = config_of(v2_json);
    struct pretrain_options o = {.capacity_factor = 1};
    struct expert_devices devices;
    config.gate.groups = config.gate.topk_groups = 1;
    config.gate.method = GATE_GREEDY;
    expect_refusal(&o, &config, "say with --expert-devices");
    o.expert_devices = 3;
    expect_refusal(&o, &config, "--expert-devices 3 does not divide the model's 8 experts");
    o.expert_devices = 8;
    CHECK_OK(expert_devices_of(&devices, &o, &config, &err), &err);
    CHECK_EQ(devices.reach, ACTIVE);
    config.experts = 0;
    expect_refusal(&o, &config, "--capacity-factor 1: the model has no routed experts");
    o = (struct pretrain_options){.balance_counts = 1};
    expect_refusal(&o, &config, "--balance-counts routed: the model has no routed experts");
}

static void combinations_that_do_not_fit_are_refused(void) {
    const struct model_config v3 = config_of(config_json);
    struct world w;
    open_world(&w, 1);
    w.options.device_balance_alpha = 0.05;
    CHECK_STATUS(pretrain_check(&w.options, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "add --balance-counts routed");
    w.options.balance_counts = 1;
    CHECK_OK(pretrain_check(&w.options, &err), &err);
    w.options.capacity_factor = 1;
    expect_refusal(&w.options, &v3, "--bias-speed 0");
    w.options.expert_devices = 2; /* of four groups: the run itself refuses it */
    CHECK_STATUS(pretrain_run(&w.options, w.device, &err), FATHOM_USAGE);
    CHECK_HAS(err.text, "--expert-devices 2");
    CHECK(!path_exists(w.out));
    world_close(&w);
}

static const struct test tests[] = {
    TEST(a_run_with_v2s_losses_and_dropping_trains),
    TEST(mtp_modules_drop_too),
    TEST(the_balance_loss_is_the_sum_of_its_levels),
    TEST(a_run_that_drops_resumes_with_the_same_bits),
    TEST(layers_computed_again_drop_the_same),
    TEST(threads_drop_the_same),
    TEST(ranks_drop_what_one_drops),
    TEST(ranks_that_divide_the_experts_drop_what_one_drops),
    TEST(stages_drop_what_one_rank_drops),
    TEST(nothing_is_dropped_where_all_sequences_are_exempt),
    TEST(about_the_asked_share_is_exempt),
    TEST(device_balance_evens_the_loads),
    TEST(nothing_is_dropped_in_a_measurement),
    TEST(devices_are_the_groups_of_the_config),
    TEST(devices_without_groups_must_be_said_and_divide_the_experts),
    TEST(combinations_that_do_not_fit_are_refused),
};
HARNESS_MAIN(tests)
