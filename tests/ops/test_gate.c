/* The gate: what it picks (facts sheet 1.7), and its gradients against finite differences with the
 * routing held fixed. */
#include "gradient.h"
#include "harness.h"
#include "op_devices.h"
#include "ops/moe.h"

/* ---- selection ---- */

enum { PICK_MAX = 16 };

/* One token of f32 logits on one device. */
struct pick {
    struct gate_shape shape;
    float logits[PICK_MAX], bias[PICK_MAX], scores[PICK_MAX], weight[PICK_MAX];
    int32_t idx[PICK_MAX];
};

static void pick(struct pick *p, struct device *device, bool has_bias) {
    const int64_t E = p->shape.experts, K = p->shape.active;
    struct stream stream;
    struct error err = {0};
    stream_init(&stream, device);
    struct op_gate_fwd op = {.shape = p->shape,
                             .scores = tensor_of(p->scores, DTYPE_F32, 1, E),
                             .weight = tensor_of(p->weight, DTYPE_F32, 1, K),
                             .logits = tensor_of(p->logits, DTYPE_F32, 1, E),
                             .idx = p->idx};
    if (has_bias) op.bias = tensor_of(p->bias, DTYPE_F32, 1, E);
    ops_gate_fwd(&stream, &op);
    CHECK_OK(stream_check(&stream, &err), &err);
}

static void expect_picks(const struct pick *p, const int32_t *expected) {
    for (int64_t k = 0; k < p->shape.active; k++) CHECK_EQ(p->idx[k], expected[k]);
}

/* Runs a test on every set of kernels. */
static void on_every_device(void (*test)(struct device *device)) {
    struct op_devices devices;
    op_devices_open(&devices, 1);
    for (int i = 0; i < devices.count; i++) {
        harness_context("%s", devices.devices[i]->isa);
        test(devices.devices[i]);
    }
    harness_context("%s", "");
    op_devices_close(&devices);
}

static void greedy_on(struct device *device) {
    struct pick p = {.shape = {.experts = 6,
                               .active = 3,
                               .groups = 1,
                               .topk_groups = 1,
                               .scoring = GATE_SOFTMAX,
                               .method = GATE_GREEDY,
                               .routed_scale = 2},
                     .logits = {1, 3, 0, 3, 2, -1}};
    pick(&p, device, false);
    expect_picks(&p, (const int32_t[]){1, 3, 4}); /* 1 before 3: the lower expert wins a tie */
    double sum = 0;
    for (int e = 0; e < 6; e++) sum += exp(p.logits[e]);
    CHECK_NEAR(p.weight[0], 2 * exp(3) / sum, 1e-6);
    CHECK_NEAR(p.weight[2], 2 * exp(2) / sum, 1e-6);
}
static void greedy_takes_the_highest_and_the_lower_of_equals(void) { on_every_device(greedy_on); }

/* Groups {0,1,2} {3,4,5} {6,7,8}: the maxima rank 2, 0, 1; the sums of the top two rank 1, 2, 0. */
static const float grouped_logits[] = {2, -9, -9, 1, 0.9F, 0.8F, 3, -3, -3};

static void group_limited_on(struct device *device) {
    struct pick p = {.shape = {.experts = 9,
                               .active = 3,
                               .groups = 3,
                               .topk_groups = 2,
                               .scoring = GATE_SOFTMAX,
                               .method = GATE_GROUP_LIMITED,
                               .routed_scale = 1}};
    memcpy(p.logits, grouped_logits, sizeof grouped_logits);
    pick(&p, device, false);
    expect_picks(&p, (const int32_t[]){6, 0, 7});
}
static void group_limited_ranks_groups_by_their_maximum(void) { on_every_device(group_limited_on); }

static void noaux_on(struct device *device) {
    struct pick p = {.shape = {.experts = 9,
                               .active = 3,
                               .groups = 3,
                               .topk_groups = 1,
                               .scoring = GATE_SIGMOID,
                               .method = GATE_NOAUX_TC,
                               .is_normalised = true,
                               .routed_scale = 2.5}};
    memcpy(p.logits, grouped_logits, sizeof grouped_logits);
    pick(&p, device, false);
    expect_picks(&p, (const int32_t[]){3, 4, 5});
    CHECK_NEAR(p.weight[0] + p.weight[1] + p.weight[2], 2.5, 1e-6);

    /* The bias picks, the unbiased score weighs: expert 5 comes first and weighs least. */
    p.bias[5] = 1;
    pick(&p, device, true);
    expect_picks(&p, (const int32_t[]){5, 3, 4});
    CHECK(p.weight[0] < p.weight[2] && p.weight[2] < p.weight[1]);
}
static void noaux_ranks_groups_by_their_top_two_with_bias(void) { on_every_device(noaux_on); }

/* With all biased scores negative a mask of 0 would pick from a dropped group. */
static void negative_on(struct device *device) {
    struct pick p = {.shape = {.experts = 8,
                               .active = 4,
                               .groups = 2,
                               .topk_groups = 1,
                               .scoring = GATE_SIGMOID,
                               .method = GATE_NOAUX_TC,
                               .routed_scale = 1},
                     .logits = {0, 1, 2, 3, -1, -2, -3, 5}};
    for (int e = 0; e < 8; e++) p.bias[e] = -4;
    pick(&p, device, true);
    expect_picks(&p, (const int32_t[]){3, 2, 1, 0});
}
static void dropped_groups_are_never_picked(void) { on_every_device(negative_on); }

static void tied_groups_on(struct device *device) {
    struct pick p = {.shape = {.experts = 8,
                               .active = 4,
                               .groups = 4,
                               .topk_groups = 2,
                               .scoring = GATE_SIGMOID,
                               .method = GATE_NOAUX_TC,
                               .routed_scale = 1}};
    pick(&p, device, false);
    expect_picks(&p, (const int32_t[]){0, 1, 2, 3});
}
static void equal_groups_go_to_the_lower_one(void) { on_every_device(tied_groups_on); }

static void expect_distinct(const struct pick *p) {
    unsigned seen = 0;
    for (int64_t k = 0; k < p->shape.active; k++) {
        CHECK(p->idx[k] >= 0 && p->idx[k] < p->shape.experts);
        CHECK(!(seen & 1U << p->idx[k]));
        seen |= 1U << p->idx[k];
    }
}

/* All NaN, most NaN, half -inf, one +inf. */
static float broken_logit(int pattern, int expert) {
    if (pattern == 0 || (pattern == 1 && expert % 3 != 0)) return NAN;
    if (pattern == 1) return 1;
    if (pattern == 2 && expert < 8) return -INFINITY;
    if (pattern == 3 && expert == 11) return INFINITY;
    return (float)expert;
}

/* A diverged model must not make the gate write indices that later address memory wildly. */
static void not_finite_on(struct device *device) {
    for (int method = GATE_GREEDY; method <= GATE_NOAUX_TC; method++) {
        for (int scoring = GATE_SIGMOID; scoring <= GATE_SOFTMAX; scoring++) {
            struct pick p = {.shape = {.experts = 16,
                                       .active = 5,
                                       .groups = 4,
                                       .topk_groups = 2,
                                       .scoring = (enum gate_scoring)scoring,
                                       .method = (enum gate_method)method,
                                       .is_normalised = true,
                                       .routed_scale = 1}};
            for (int pattern = 0; pattern < 4; pattern++) {
                for (int e = 0; e < 16; e++) p.logits[e] = broken_logit(pattern, e);
                pick(&p, device, false);
                expect_distinct(&p);
            }
        }
    }
}
static void scores_that_are_not_numbers_still_pick_distinct_experts(void) {
    on_every_device(not_finite_on);
}

/* ---- gradients ---- */

struct context {
    struct oracle oracle;
    struct gate_shape shape;
    struct tensor logits, scores, weight, g, bias, balance, c;
    int32_t *idx;
    const struct span *spans;
    int64_t span_count;
    double coef;
    struct balance_levels levels;
    bool is_given;
};

static double gate_loss(void *arg) {
    struct context *c = arg;
    struct stream *stream = &c->oracle.stream;
    ops_gate_fwd(stream, &(struct op_gate_fwd){.shape = c->shape,
                                               .scores = c->scores,
                                               .weight = c->weight,
                                               .logits = c->logits,
                                               .bias = c->bias,
                                               .idx = c->idx,
                                               .idx_is_given = c->is_given});
    ops_balance_fwd(stream, &(struct op_balance_fwd){.loss = c->balance,
                                                     .c = c->c,
                                                     .scores = c->scores,
                                                     .idx = c->levels.devices ? c->idx : NULL,
                                                     .spans = c->spans,
                                                     .span_count = c->span_count,
                                                     .active = c->shape.active,
                                                     .levels = c->levels,
                                                     .c_is_given = c->is_given});
    double loss = tensor_dot(c->weight, c->g);
    for (int64_t i = 0; i < c->span_count; i++) loss += c->coef * at(c->balance, i)[0];
    return loss;
}

static void check_gate(struct gate_shape shape, double coef, struct balance_levels levels) {
    static const struct span spans[] = {{0, 3, 0, 0}, {3, 1, 0, 3}, {4, 2, 0, 4}};
    const int64_t T = 6, E = shape.experts, K = shape.active;
    struct context c = {
        .shape = shape, .spans = spans, .span_count = 3, .coef = coef, .levels = levels};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.logits = oracle_normal(o, T, E);
    c.scores = oracle_zero(o, T, E);
    c.weight = oracle_zero(o, T, K);
    c.g = oracle_normal(o, T, K);
    c.balance = oracle_zero(o, 3, 1);
    c.c = oracle_zero(o, 3, E);
    c.idx = oracle_below(o, T * K, E);
    float *bias = oracle_block(o, (size_t)E * sizeof(float));
    for (int64_t e = 0; e < E; e++) bias[e] = (float)(0.3 * cos((double)e));
    if (shape.method == GATE_NOAUX_TC) c.bias = tensor_of(bias, DTYPE_F32, 1, E);

    gate_loss(&c);
    c.is_given = true;
    gate_loss(&c);
    struct tensor dlogits = oracle_zero(o, T, E);
    ops_gate_bwd(&o->stream,
                 &(struct op_gate_bwd){.shape = shape,
                                       .dlogits = dlogits,
                                       .dweight = c.g,
                                       .scores = c.scores,
                                       .weight = c.weight,
                                       .idx = c.idx,
                                       .balance_c = coef != 0 ? c.c : (struct tensor){0},
                                       .spans = spans,
                                       .span_count = 3,
                                       .balance_coef = coef});
    check_gradient("dlogits", c.logits, dlogits, gate_loss, &c);
    oracle_close(o);
}

static void every_gate_gradient_matches_differences(void) {
    for (int variant = 0; variant < 24; variant++) {
        const struct gate_shape shape = {.experts = 12,
                                         .active = 4,
                                         .groups = 4,
                                         .topk_groups = 2,
                                         .method = (enum gate_method)(variant % 3),
                                         .scoring = variant / 3 % 2 ? GATE_SOFTMAX : GATE_SIGMOID,
                                         .is_normalised = variant / 6 % 2 != 0,
                                         .routed_scale = 2.5};
        harness_context("method %d scoring %d normalised %d", (int)shape.method, (int)shape.scoring,
                        shape.is_normalised);
        check_gate(shape, variant / 12 ? 0.7 : 0, (struct balance_levels){.expert = 1});
        check_gate(shape, 0.7, (struct balance_levels){0.2, 3, 1.5, .devices = 4, .reach = 2});
    }
}

/* Two tokens, three experts, one active: f and the loss by hand. */
static void balance_loss_follows_the_report(void) {
    static const struct span spans[] = {{0, 2, 0, 0}, {2, 0, 0, 2}};
    struct oracle o;
    oracle_open(&o);
    struct tensor scores = oracle_zero(&o, 2, 3), c = oracle_zero(&o, 2, 3);
    struct tensor loss = oracle_zero(&o, 2, 1);
    memcpy(at(scores, 0), (const double[]){0.2, 0.5, 0.3, 0.1, 0.1, 0.2}, 6 * sizeof(double));
    ops_balance_fwd(&o.stream, &(struct op_balance_fwd){.loss = loss,
                                                        .c = c,
                                                        .scores = scores,
                                                        .spans = spans,
                                                        .span_count = 2,
                                                        .active = 1,
                                                        .levels = {.expert = 1}});
    CHECK_NEAR(at(c, 0)[0], 0, 0);
    CHECK_NEAR(at(c, 0)[1], 1.5, 0);
    CHECK_NEAR(at(c, 0)[2], 1.5, 0);
    CHECK_NEAR(at(loss, 0)[0], 1.5 * (0.5 + 0.25) / 2 + 1.5 * (0.3 + 0.5) / 2, 1e-15);
    CHECK_NEAR(at(loss, 1)[0], 0, 0); /* an empty sequence */
    oracle_close(&o);
}

/* Two tokens, four experts on two devices, two active: token 0 goes to experts 0 and 1, token 1 to
 * 1 and 2, whatever their scores. f = (1, 2, 1, 0); f' = (1.5, 0.5); with M = 2, f'' = (1, 0.5). */
static void losses_of_devices_follow_the_report(void) {
    static const struct span spans[] = {{0, 2, 0, 0}};
    static const int32_t idx[] = {0, 1, 2, 1};
    static const struct balance_levels levels[] = {{.expert = 1},
                                                   {.device = 1, .devices = 2, .reach = 2},
                                                   {.communication = 1, .devices = 2, .reach = 2}};
    static const double expected[3][4] = {{1, 2, 1, 0}, {1.5, 1.5, 0.5, 0.5}, {1, 1, 0.5, 0.5}};
    static const double p[4] = {0.15, 0.25, 0.25, 0.35};
    struct oracle o;
    oracle_open(&o);
    struct tensor scores = oracle_zero(&o, 2, 4), c = oracle_zero(&o, 1, 4);
    struct tensor loss = oracle_zero(&o, 1, 1);
    memcpy(at(scores, 0), (const double[]){0.1, 0.2, 0.3, 0.4, 0.2, 0.3, 0.2, 0.3},
           8 * sizeof(double));
    for (int level = 0; level < 3; level++) {
        double sum = 0;
        ops_balance_fwd(&o.stream, &(struct op_balance_fwd){.loss = loss,
                                                            .c = c,
                                                            .scores = scores,
                                                            .idx = idx,
                                                            .spans = spans,
                                                            .span_count = 1,
                                                            .active = 2,
                                                            .levels = levels[level]});
        for (int e = 0; e < 4; e++) {
            CHECK_NEAR(at(c, 0)[e], expected[level][e], 0);
            sum += expected[level][e] * p[e];
        }
        CHECK_NEAR(at(loss, 0)[0], sum, 1e-15);
    }
    oracle_close(&o);
}

/* ---- dispatch and combine ---- */

/* Three sequences of two tokens on two devices of two experts; capacity 3. Device 0 has slots 0 1 3
 * 4 6 9 10 with affinities 5 9 7 7 4 8 1 (tenths), device 1 slots 2 5 7 8 11. */
static void drop_on(struct device *device) {
    static const int32_t idx[] = {0, 1, 3, 0, 1, 2, 0, 2, 3, 1, 0, 3};
    static const float affinity[] = {5, 9, 6, 7, 7, 4, 4, 6, 3, 8, 1, 9};
    static const struct span spans[] = {{0, 2, 0, 0}, {2, 2, 0, 2}, {4, 2, 0, 4}};
    static const bool last_keeps_all[] = {false, false, true};
    /* Of slots 3 and 4, which are equal, the earlier is kept; of 2 and 7 both fit. */
    static const int32_t expected[] = {-1, 1, 3, 0, -1, -1, -1, 2, -1, 1, -1, 3};
    /* Slots 8 to 11 take two of device 0 and two of device 1. */
    static const int32_t exempt[] = {-1, 1, 3, -1, -1, -1, -1, -1, 3, 1, 0, 3};
    /* More of them than the capacity: nothing is left for the others. */
    static const int32_t exceeded[] = {-1, -1, -1, -1, -1, -1, -1, -1, 3, 1, 0, 3};
    float scores[6 * 4] = {0};
    int32_t kept[12];
    struct stream stream;
    struct error err = {0};
    for (int slot = 0; slot < 12; slot++) scores[slot / 2 * 4 + idx[slot]] = affinity[slot] / 10;
    struct op_moe_drop op = {.kept = kept,
                             .idx = idx,
                             .scores = tensor_of(scores, DTYPE_F32, 6, 4),
                             .spans = spans,
                             .span_count = 3,
                             .active = 2,
                             .devices = 2,
                             .capacity = 3};
    stream_init(&stream, device);
    ops_moe_drop(&stream, &op);
    for (int slot = 0; slot < 12; slot++) CHECK_EQ(kept[slot], expected[slot]);
    op.keeps_all = last_keeps_all;
    ops_moe_drop(&stream, &op);
    for (int slot = 0; slot < 12; slot++) CHECK_EQ(kept[slot], exempt[slot]);
    op.capacity = 1;
    ops_moe_drop(&stream, &op);
    for (int slot = 0; slot < 12; slot++) CHECK_EQ(kept[slot], exceeded[slot]);
    CHECK_OK(stream_check(&stream, &err), &err);
}
static void the_lowest_affinities_of_a_device_are_dropped(void) { on_every_device(drop_on); }

static void plan_sorts_slots_by_physical_expert(void) {
    static const int32_t idx[] = {2, 0, 1, 2, 0, 2}, place[] = {1, 2, 0};
    int32_t offsets[4], row_token[6], row_slot[6], slot_row[6], load[3] = {10, 20, 30};
    struct oracle o;
    oracle_open(&o);
    struct op_moe_plan op = {.idx = idx,
                             .place = place,
                             .offsets = offsets,
                             .row_token = row_token,
                             .row_slot = row_slot,
                             .slot_row = slot_row,
                             .load = load,
                             .tokens = 3,
                             .active = 2,
                             .experts = 3};
    ops_moe_plan(&o.stream, &op);
    static const int32_t slots[] = {0, 3, 5, 1, 4, 2}, ends[] = {0, 3, 5, 6},
                         loads[] = {12, 21, 33};
    for (int i = 0; i < 6; i++) {
        CHECK_EQ(row_slot[i], slots[i]);
        CHECK_EQ(row_token[i], slots[i] / 2);
        CHECK_EQ(slot_row[slots[i]], i);
    }
    for (int i = 0; i < 4; i++) CHECK_EQ(offsets[i], ends[i]);
    for (int i = 0; i < 3; i++) CHECK_EQ(load[i], loads[i]);
    oracle_close(&o);
}

/* rows[r] = x[row_token[r]] is the gather of a dispatch: its gradient is a combine without weights.
 */
struct gather {
    struct tensor x, g;
    const int32_t *row_token;
};
static double gather_loss(void *arg) {
    const struct gather *c = arg;
    double loss = 0;
    for (int64_t r = 0; r < c->g.rows; r++)
        loss += tensor_dot(tensor_rows(c->x, c->row_token[r], 1), tensor_rows(c->g, r, 1));
    return loss;
}
static void combine_is_the_gradient_of_dispatch(void) {
    static const int32_t row_token[] = {1, 2, 0, 0, 2, 1}, slot_row[] = {2, 3, 0, 5, 1, 4};
    struct oracle o;
    oracle_open(&o);
    struct gather c = {
        .x = oracle_normal(&o, 3, 4), .g = oracle_normal(&o, 6, 4), .row_token = row_token};
    struct tensor dx = oracle_zero(&o, 3, 4);
    ops_moe_combine(&o.stream, &(struct op_moe_combine){
                                   .y = dx, .rows = c.g, .slot_row = slot_row, .active = 2});
    check_gradient("dx", c.x, dx, gather_loss, &c);

    /* With weights, on top of what is there. */
    struct tensor weight = oracle_normal(&o, 3, 2), y = oracle_normal(&o, 3, 4);
    struct tensor expected = oracle_zero(&o, 3, 4);
    for (int64_t t = 0; t < 3; t++)
        for (int64_t i = 0; i < 4; i++)
            at(expected, t)[i] = at(y, t)[i] + at(weight, t)[0] * at(c.g, slot_row[2 * t])[i] +
                                 at(weight, t)[1] * at(c.g, slot_row[2 * t + 1])[i];
    ops_moe_combine(
        &o.stream,
        &(struct op_moe_combine){
            .y = y, .rows = c.g, .weight = weight, .add = y, .slot_row = slot_row, .active = 2});
    check_close("y", y, expected, 1e-14);
    oracle_close(&o);
}

static const struct test tests[] = {
    TEST(greedy_takes_the_highest_and_the_lower_of_equals),
    TEST(group_limited_ranks_groups_by_their_maximum),
    TEST(noaux_ranks_groups_by_their_top_two_with_bias),
    TEST(dropped_groups_are_never_picked),
    TEST(equal_groups_go_to_the_lower_one),
    TEST(scores_that_are_not_numbers_still_pick_distinct_experts),
    TEST(every_gate_gradient_matches_differences),
    TEST(balance_loss_follows_the_report),
    TEST(losses_of_devices_follow_the_report),
    TEST(the_lowest_affinities_of_a_device_are_dropped),
    TEST(plan_sorts_slots_by_physical_expert),
    TEST(combine_is_the_gradient_of_dispatch),
};
HARNESS_MAIN(tests)
