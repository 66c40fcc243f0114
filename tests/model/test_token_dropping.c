/* Token dropping by device in a whole pass: what is kept, what is not, and that nothing else
 * changes. */
#include "model_test.h"

enum { DEVICES = 4 };
static const int64_t lengths[] = {13, 30, 7, 21};

static struct run_options options_of(double capacity_factor) {
    return (struct run_options){
        .balance_coef = 0x1p-8,
        .head_chunk = 16,
        .devices = {.count = DEVICES, .reach = 2, .capacity_factor = capacity_factor}};
}

/* One forward and backward over four sequences, of which number `exempt` keeps all (-1: none). */
static void pass_over(struct fixture *f, const struct run_options *options, int exempt) {
    fixture_batch(f, 0, 4, lengths);
    if (exempt >= 0) f->train.batch.keeps_all[exempt] = true;
    fixture_pass(f, options, true);
}

static const struct moe_saved *moe_of(const struct fixture *f, int64_t layer) {
    return &f->run->layers[layer].ffn.moe;
}

/* Kept slots of a device in rows [first, end). */
static int64_t count_kept(const struct fixture *f, int64_t layer, int64_t device, int64_t first,
                          int64_t end) {
    const struct model_config *c = &f->model->config;
    const int32_t *kept = moe_of(f, layer)->plan.kept;
    int64_t count = 0;
    for (int64_t slot = first * c->active_experts; slot < end * c->active_experts; slot++)
        count += kept[slot] >= 0 && kept[slot] / (c->experts / DEVICES) == device;
    return count;
}

static int64_t count_routed(const struct fixture *f, int64_t layer, int64_t device) {
    const struct model_config *c = &f->model->config;
    const int32_t *idx = moe_of(f, layer)->plan.idx;
    int64_t count = 0;
    for (int64_t slot = 0; slot < f->train.batch.tokens_count * c->active_experts; slot++)
        count += idx[slot] / (c->experts / DEVICES) == device;
    return count;
}

/* Every device computes its capacity, or all that it was sent where that is less. */
static void check_capacity(const char *golden, double factor) {
    struct fixture f;
    const struct run_options options = options_of(factor);
    harness_context("%s, capacity factor %g", golden, factor);
    fixture_open(&f, golden, NULL, 2);
    pass_over(&f, &options, -1);
    const struct model_config *c = &f.model->config;
    const int64_t T = f.train.batch.tokens_count, slots = T * c->active_experts;
    const int64_t capacity = (int64_t)ceil(factor * (double)slots / DEVICES);
    for (int64_t layer = c->first_dense; layer < c->layers; layer++) {
        int64_t all = 0, loads = 0;
        for (int64_t d = 0; d < DEVICES; d++) {
            const int64_t routed = count_routed(&f, layer, d),
                          kept = count_kept(&f, layer, d, 0, T);
            CHECK_EQ(kept, routed < capacity ? routed : capacity);
            all += kept;
        }
        for (int64_t e = 0; e < c->experts; e++) loads += f.model->loads[layer][e];
        CHECK_EQ(loads, all);
        CHECK_EQ(moe_of(&f, layer)->plan.rows, all);
        CHECK_EQ(moe_of(&f, layer)->plan.slots, all);
        CHECK(all < slots);
    }
    fixture_close(&f);
}
static void a_device_computes_no_more_than_its_capacity(void) {
    check_capacity("v2", 1);
    check_capacity("v2", 0.5);
    check_capacity("v2-lite", 0.9);
}

static void a_sequence_may_keep_all_its_slots(void) {
    struct fixture f;
    const struct run_options options = options_of(0.5);
    fixture_open(&f, "v2", NULL, 2);
    for (int exempt = 0; exempt < 4; exempt++) {
        pass_over(&f, &options, exempt);
        const struct model_config *c = &f.model->config;
        const struct span *own = &f.train.batch.spans[exempt];
        for (int64_t layer = c->first_dense; layer < c->layers; layer++) {
            int64_t kept = 0;
            for (int64_t d = 0; d < DEVICES; d++)
                kept += count_kept(&f, layer, d, own->row, own->row + own->count);
            CHECK_EQ(kept, own->count * c->active_experts);
        }
    }
    fixture_close(&f);
}

static bool is_equal(struct tensor a, struct tensor b) {
    return a.rows == b.rows && a.cols == b.cols &&
           memcmp(a.data, b.data, (size_t)tensor_count(a) * dtype_size(a.dtype)) == 0;
}

static bool has_equal_gradients(const struct fixture *a, const struct fixture *b) {
    for (int64_t i = 0; i < a->model->params.count; i++) {
        const struct param *p = &a->model->params.items[i];
        if (param_is_trained(p) && !is_equal(model_grad(a->model, p), model_grad(b->model, p)))
            return false;
    }
    return true;
}

/* A capacity that all slots fit into changes no bit; one that they do not fit into does. */
static void ample_capacity_changes_no_bit(void) {
    struct fixture plain, ample, scarce;
    const struct run_options none = {.balance_coef = 0x1p-8, .head_chunk = 16};
    const struct run_options much = options_of(DEVICES), little = options_of(0.5);
    fixture_open(&plain, "v2", NULL, 2);
    fixture_open(&ample, "v2", NULL, 2);
    fixture_open(&scarce, "v2", NULL, 2);
    pass_over(&plain, &none, -1);
    pass_over(&ample, &much, -1);
    pass_over(&scarce, &little, -1);
    CHECK(is_equal(plain.run->hidden, ample.run->hidden));
    CHECK(has_equal_gradients(&plain, &ample));
    CHECK(!is_equal(plain.run->hidden, scarce.run->hidden));
    CHECK(!has_equal_gradients(&plain, &scarce));
    fixture_close(&plain);
    fixture_close(&ample);
    fixture_close(&scarce);
}

/* The plan counts all slots, as how many are dropped is not known beforehand. */
static void the_plan_holds_a_pass_that_drops(void) {
    static const int64_t equal[] = {20, 20};
    const struct run_options options = options_of(0.5);
    struct error err = {0};
    struct fixture f;
    struct run_bytes bytes;
    fixture_open(&f, "v2", NULL, 1);
    CHECK_OK(run_measure(&bytes, f.model, 2, 20, &options, &err), &err);
    fixture_batch(&f, 0, 2, equal);
    f.kept.peak = f.scratch.peak = 0;
    fixture_pass(&f, &options, true);
    CHECK_EQ(f.kept.peak, bytes.kept);
    CHECK(f.scratch.peak <= bytes.scratch);
    fixture_close(&f);
}

static const struct test tests[] = {
    TEST(a_device_computes_no_more_than_its_capacity),
    TEST(a_sequence_may_keep_all_its_slots),
    TEST(ample_capacity_changes_no_bit),
    TEST(the_plan_holds_a_pass_that_drops),
};
HARNESS_MAIN(tests)
