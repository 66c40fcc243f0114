/* Every trained tensor of tiny models of each variant against finite differences, in double on the
 * oracle, with the routing held fixed, MTP and balance loss included: along a random direction u,
 * grad . u = (L(w + hu) - L(w - hu)) / 2h. */
#include "model_test.h"

static const double step = 1e-5, tolerance = 2e-6;

/* -sum coef log p over a batch's predictions, in double from the logits. */
static double batch_loss(struct fixture *f, struct tensor hidden, const struct predictions *p) {
    int64_t V = f->model->config.vocab;
    double *logits = NULL, loss = 0;
    CHECK(MEM_NEW(&logits, hidden.rows * V, "logits", NULL) == FATHOM_OK);
    model_logits(f->model, &f->stream, tensor_of(logits, DTYPE_F64, hidden.rows, V), hidden);
    for (int64_t t = 0; t < hidden.rows; t++) {
        const double *row = logits + t * V;
        double largest = row[0], sum = 0;
        for (int64_t i = 0; i < V; i++) largest = fmax(largest, row[i]);
        for (int64_t i = 0; i < V; i++) sum += exp(row[i] - largest);
        loss -= (double)p->coef[t] * (row[p->targets[t]] - largest - log(sum));
    }
    mem_free(logits);
    return loss;
}

static double total_loss(struct fixture *f, const struct run_options *options) {
    arena_reset(&f->kept, 0);
    run_forward(f->run, &f->train, options, &f->stream, &f->kept, &f->scratch);
    double loss = batch_loss(f, f->run->hidden, &f->train.predictions);
    for (int64_t k = 0; k < f->train.mtp_modules; k++)
        loss += batch_loss(f, f->run->mtp[k].hidden, &f->train.mtp[k].predictions);
    return loss + run_balance_loss(f->run);
}

/* w += scale * u, u being the direction numbered by the parameter. */
static void move(struct tensor w, uint64_t number, double scale) {
    double *values = w.data;
    const struct rng_key key = {7, RNG_TEST, number};
    for (int64_t i = 0; i < tensor_count(w); i++) values[i] += scale * rng_normal(key, (uint64_t)i);
}

static void check_parameter(struct fixture *f, int64_t i, const struct run_options *options) {
    const struct param *p = &f->model->params.items[i];
    struct tensor w = model_weight(f->model, p), g = model_grad(f->model, p);
    const struct rng_key key = {7, RNG_TEST, (uint64_t)i};
    char name[TENSOR_NAME_MAX];
    double along = 0, size = 0;
    for (int64_t j = 0; j < tensor_count(g); j++) {
        double part = ((const double *)g.data)[j] * rng_normal(key, (uint64_t)j);
        along += part;
        size += part * part;
    }
    move(w, (uint64_t)i, step);
    double high = total_loss(f, options);
    move(w, (uint64_t)i, -2 * step);
    double low = total_loss(f, options);
    move(w, (uint64_t)i, step);
    param_name(p, name);
    harness_context("%s", name);
    double slope = (high - low) / (2 * step);
    CHECK_NEAR(along, slope, tolerance * (sqrt(size) + fabs(along)) + 1e-10);
}

static int32_t *copy_slots(struct arena *arena, const int32_t *from, int64_t count) {
    int32_t *to = ARENA_TAKE(arena, int32_t, count);
    memcpy(to, from, (size_t)count * sizeof *to);
    return to;
}

/* The routing of a pass, in memory of its own: plan.idx, plan.kept and balance_c of every MoE
 * layer. */
static struct layer_saved *keep_routing(struct fixture *f, struct arena *arena) {
    const struct model_config *c = &f->model->config;
    struct layer_saved *all = ARENA_TAKE(arena, struct layer_saved, config_all_layers(c));
    CHECK(all != NULL);
    memset(all, 0, (size_t)config_all_layers(c) * sizeof *all);
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        const struct layer_saved *from =
            layer < c->layers ? &f->run->layers[layer] : &f->run->mtp[layer - c->layers].layer;
        if (!config_layer_is_moe(c, layer)) continue;
        struct moe_saved *to = &all[layer].ffn.moe;
        int64_t slots = from->ffn.moe.weight.rows * c->active_experts;
        to->plan.idx = copy_slots(arena, from->ffn.moe.plan.idx, slots);
        to->plan.kept = copy_slots(arena, from->ffn.moe.plan.kept, slots);
        to->balance_c = from->ffn.moe.balance_c;
        to->balance_c.data = arena_take(arena, (size_t)tensor_count(to->balance_c), 8);
        memcpy(to->balance_c.data, from->ffn.moe.balance_c.data,
               (size_t)tensor_count(to->balance_c) * 8);
    }
    return all;
}

static void check_variant_with(const char *golden, struct run_options options) {
    static const int64_t lengths[] = {9, 1, 6};
    struct fixture f;
    struct arena memory;
    struct error err = {0};
    fixture_open(&f, golden, "ref64", 1);
    CHECK_OK(arena_new(&memory, 1 << 20, "routing", &err), &err);
    fixture_batch(&f, 0, 3, lengths);
    fixture_pass(&f, &options, true);
    options.routing = keep_routing(&f, &memory);
    for (int64_t i = 0; i < f.model->params.count; i++)
        if (param_is_trained(&f.model->params.items[i])) check_parameter(&f, i, &options);
    arena_free(&memory);
    fixture_close(&f);
}

static void check_variant(const char *golden) {
    check_variant_with(golden, (struct run_options){.balance_coef = 0.5, .head_chunk = 5});
}

static const struct run_options v2_training = {
    .balance_coef = 0.3,
    .balances_routed = true,
    .head_chunk = 5,
    .devices = {.count = 2,
                .reach = 1,
                .balance_coef = 0.5,
                .communication_coef = 0.2,
                .capacity_factor = 0.75},
};
static void balance_of_devices_and_dropping_match_finite_differences(void) {
    check_variant_with("v2", v2_training);
    check_variant_with("v2-lite", v2_training);
    check_variant_with("v3-mtp2", v2_training);
}

static void v3_gradients_match_finite_differences(void) { check_variant("v3"); }
static void two_mtp_modules_tied_match_finite_differences(void) { check_variant("v3-mtp2"); }
static void v2_gradients_match_finite_differences(void) { check_variant("v2"); }
static void v2_lite_gradients_match_finite_differences(void) { check_variant("v2-lite"); }
static void qwen2_gradients_match_finite_differences(void) { check_variant("qwen2"); }
static void qwen3_gradients_match_finite_differences(void) { check_variant("qwen3"); }
static void llama3_gradients_match_finite_differences(void) { check_variant("llama3"); }

static const struct test tests[] = {
    TEST(v3_gradients_match_finite_differences),
    TEST(two_mtp_modules_tied_match_finite_differences),
    TEST(v2_gradients_match_finite_differences),
    TEST(v2_lite_gradients_match_finite_differences),
    TEST(qwen2_gradients_match_finite_differences),
    TEST(qwen3_gradients_match_finite_differences),
    TEST(llama3_gradients_match_finite_differences),
    TEST(balance_of_devices_and_dropping_match_finite_differences),
};
HARNESS_MAIN(tests)
