/* The same bits whatever stands beside a sequence, and for any number of threads, in every
 * precision of the products. */
#include "model_test.h"

static const int64_t lengths[] = {13, 30, 1, 21};
static const struct run_options plain = {.balance_coef = 0x1p-8, .head_chunk = 16};

static const struct run_options dropping = {.balance_coef = 0x1p-8,
                                            .balances_routed = true,
                                            .head_chunk = 16,
                                            .devices = {.count = 4,
                                                        .reach = 2,
                                                        .balance_coef = 0x1p-4,
                                                        .communication_coef = 0x1p-5,
                                                        .capacity_factor = 1}};

static void each_golden_and_precision(void (*check)(const char *golden, enum precision precision)) {
    for (int i = 0; i < GOLDEN_COUNT; i++)
        for (int p = PRECISION_F32; p <= PRECISION_FP8; p++)
            check(golden_names[i], (enum precision)p);
}

static bool is_equal(struct tensor a, struct tensor b) {
    return a.rows == b.rows && a.cols == b.cols &&
           memcmp(a.data, b.data, (size_t)tensor_count(a) * dtype_size(a.dtype)) == 0;
}

static struct tensor copy_of(struct tensor x) {
    struct tensor copy = x;
    CHECK(mem_new(&copy.data, (size_t)tensor_count(x), dtype_size(x.dtype), "copy", NULL) ==
          FATHOM_OK);
    memcpy(copy.data, x.data, (size_t)tensor_count(x) * dtype_size(x.dtype));
    return copy;
}

/* Forward and input gradients of sequence 1 alone and in a batch of four. */
static void check_alone(const char *golden, enum precision precision) {
    struct fixture f;
    harness_context("%s in %s", golden, precision_name(precision));
    fixture_open(&f, golden, NULL, 2);
    f.model->precision = precision;
    fixture_batch(&f, 0, 4, lengths);
    fixture_pass(&f, &plain, true);
    struct tensor hidden = copy_of(tensor_rows(f.run->hidden, lengths[0], lengths[1]));
    struct tensor dx = copy_of(tensor_rows(f.run->dhidden[0], lengths[0], lengths[1]));
    float logp[64];
    memcpy(logp, f.train.predictions.logp + lengths[0], (size_t)lengths[1] * sizeof *logp);

    fixture_batch(&f, 1, 1, &lengths[1]);
    fixture_pass(&f, &plain, true);
    CHECK(is_equal(hidden, f.run->hidden));
    CHECK(memcmp(logp, f.train.predictions.logp, (size_t)lengths[1] * sizeof *logp) == 0);
    CHECK(is_equal(dx, f.run->dhidden[0]));
    mem_free(hidden.data);
    mem_free(dx.data);
    fixture_close(&f);
}

static void a_sequence_has_the_same_bits_alone_and_in_a_batch(void) {
    each_golden_and_precision(check_alone);
}

static void check_threads_with(const char *golden, enum precision precision,
                               const struct run_options *options) {
    struct fixture one, two;
    harness_context("%s in %s", golden, precision_name(precision));
    fixture_open(&one, golden, NULL, 1);
    one.model->precision = precision;
    fixture_open(&two, golden, NULL, 2);
    two.model->precision = precision;
    fixture_batch(&one, 0, 4, lengths);
    fixture_batch(&two, 0, 4, lengths);
    fixture_pass(&one, options, true);
    fixture_pass(&two, options, true);
    CHECK(is_equal(one.run->hidden, two.run->hidden));
    for (int64_t i = 0; i < one.model->params.count; i++) {
        const struct param *p = &one.model->params.items[i];
        char name[TENSOR_NAME_MAX];
        if (!param_is_trained(p)) continue;
        param_name(p, name);
        harness_context("%s in %s: %s", golden, precision_name(precision), name);
        CHECK(is_equal(model_grad(one.model, p), model_grad(two.model, p)));
    }
    fixture_close(&one);
    fixture_close(&two);
}

static void check_threads(const char *golden, enum precision precision) {
    check_threads_with(golden, precision, &plain);
    check_threads_with(golden, precision, &dropping);
}

static void weight_gradients_have_the_same_bits_on_one_and_two_threads(void) {
    each_golden_and_precision(check_threads);
}

/* Whole-layer recompute runs the same forward again: the same gradients, and loads counted once. */
static void check_recompute_with(const char *golden, enum precision precision,
                                 const struct run_options *options) {
    struct fixture keep, again;
    struct run_options layer = *options;
    layer.recompute = RECOMPUTE_LAYER;
    harness_context("%s in %s", golden, precision_name(precision));
    fixture_open(&keep, golden, NULL, 2);
    keep.model->precision = precision;
    fixture_open(&again, golden, NULL, 2);
    again.model->precision = precision;
    fixture_batch(&keep, 0, 4, lengths);
    fixture_batch(&again, 0, 4, lengths);
    fixture_pass(&keep, options, true);
    fixture_pass(&again, &layer, true);
    CHECK(again.kept.peak < keep.kept.peak);
    for (int64_t i = 0; i < keep.model->params.count; i++) {
        const struct param *p = &keep.model->params.items[i];
        if (param_is_trained(p))
            CHECK(is_equal(model_grad(keep.model, p), model_grad(again.model, p)));
    }
    CHECK(memcmp(keep.model->loads_block, again.model->loads_block,
                 (size_t)keep.model->loads_count * sizeof(int32_t)) == 0);
    fixture_close(&keep);
    fixture_close(&again);
}

static void check_recompute(const char *golden, enum precision precision) {
    check_recompute_with(golden, precision, &plain);
    check_recompute_with(golden, precision, &dropping);
}

static void recomputing_layers_changes_no_gradient_and_no_load(void) {
    each_golden_and_precision(check_recompute);
}

static void loads_count_every_routed_token_once(void) {
    struct fixture f;
    fixture_open(&f, "v3-mtp2", NULL, 2);
    const struct model_config *c = &f.model->config;
    fixture_batch(&f, 0, 4, lengths);
    fixture_pass(&f, &plain, true);
    for (int64_t layer = 0; layer < config_all_layers(c); layer++) {
        if (!config_layer_is_moe(c, layer)) continue;
        int64_t tokens = layer < c->layers ? f.train.batch.tokens_count
                                           : f.train.mtp[layer - c->layers].batch.tokens_count;
        int64_t sum = 0;
        for (int64_t e = 0; e < c->experts; e++) sum += f.model->loads[layer][e];
        CHECK_EQ(sum, tokens * c->active_experts);
    }
    fixture_close(&f);
}

static void a_token_outside_the_vocabulary_is_refused(void) {
    struct fixture f;
    struct error err = {0};
    fixture_open(&f, "v3", NULL, 1);
    f.tokens[0][3] = (int32_t)f.model->config.vocab;
    const struct sequence sequence = {.tokens = f.tokens[0], .count = 8};
    const struct train_batch_options options = {.vocab = f.model->config.vocab};
    CHECK_STATUS(
        train_batch_build(&f.train, &sequence, 1, &options, &f.host, &f.batch, &f.stream, &err),
        FATHOM_BAD_INPUT);
    fixture_close(&f);
}

/* Sequence 2 has one token, which no MTP module predicts from: what the memory held is not its
 * loss.
 */
static void a_sequence_too_short_for_a_module_has_no_balance_loss(void) {
    struct fixture f;
    fixture_open(&f, "v3", NULL, 1);
    fixture_batch(&f, 0, 4, lengths);
    fixture_pass(&f, &plain, true);
    const double loss = run_balance_loss(f.run);
    memset(f.kept.base, 0x41, f.kept.capacity); /* 12.08 in each float */
    fixture_pass(&f, &plain, true);
    CHECK(run_balance_loss(f.run) == loss);
    fixture_close(&f);
}

static void the_plan_is_what_a_pass_takes(void) {
    static const int64_t equal[] = {20, 20};
    struct error err = {0};
    for (int i = 0; i < 2 * GOLDEN_COUNT; i++) {
        struct fixture f;
        struct run_bytes bytes;
        harness_context("%s", golden_names[i / 2]);
        fixture_open(&f, golden_names[i / 2], NULL, 1);
        f.model->precision = i % 2 == 0 ? PRECISION_F32 : PRECISION_FP8;
        CHECK_OK(run_measure(&bytes, f.model, 2, 20, &plain, &err), &err);
        fixture_batch(&f, 0, 2, equal);
        f.kept.peak = f.scratch.peak = 0;
        fixture_pass(&f, &plain, true);
        CHECK_EQ(f.kept.peak, bytes.kept);
        CHECK_EQ(f.scratch.peak, bytes.scratch);
        fixture_close(&f);
    }
}

static const struct test tests[] = {
    TEST(a_sequence_has_the_same_bits_alone_and_in_a_batch),
    TEST(weight_gradients_have_the_same_bits_on_one_and_two_threads),
    TEST(recomputing_layers_changes_no_gradient_and_no_load),
    TEST(loads_count_every_routed_token_once),
    TEST(a_token_outside_the_vocabulary_is_refused),
    TEST(a_sequence_too_short_for_a_module_has_no_balance_loss),
    TEST(the_plan_is_what_a_pass_takes),
};
HARNESS_MAIN(tests)
