/* Products and operations on rows against finite differences. */
#include "gradient.h"
#include "harness.h"
#include "ops/product.h"
#include "ops/rows.h"

/* Every test's context: the loss is g . forward. Tensors that a test does not use stay absent. */
struct context {
    struct oracle oracle;
    struct tensor x, w, u, y, g, bias, rstd, cos, sin;
    const int32_t *offsets, *gather;
    int64_t experts;
    enum rope_layout layout;
    double scale;
};

/* ---- products ---- */

static double linear_loss(void *arg) {
    struct context *c = arg;
    ops_linear(&c->oracle.stream, PRECISION_F32, c->y, c->x, c->w, c->bias);
    return tensor_dot(c->y, c->g);
}

static void linear_gradients_match_differences(void) {
    struct context c = {0};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.x = oracle_normal(o, 5, 7);
    c.w = oracle_normal(o, 4, 7);
    c.bias = oracle_normal(o, 1, 4);
    c.y = oracle_zero(o, 5, 4);
    c.g = oracle_normal(o, 5, 4);
    struct tensor dx = oracle_zero(o, 5, 7), dw = oracle_zero(o, 4, 7);
    struct tensor dbias = oracle_zero(o, 1, 4);
    ops_linear_dx(&o->stream, PRECISION_F32, dx, c.g, c.w, false);
    ops_linear_dw(&o->stream, PRECISION_F32, dw, c.g, c.x);
    ops_sum_rows(&o->stream, &(struct op_sum_rows){.y = dbias, .x = c.g});
    check_gradient("dx", c.x, dx, linear_loss, &c);
    check_gradient("dw", c.w, dw, linear_loss, &c);
    check_gradient("dbias", c.bias, dbias, linear_loss, &c);
    oracle_close(o);
}

static void accumulating_product_adds_to_what_is_there(void) {
    struct context c = {0};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.x = oracle_normal(o, 5, 7);
    c.w = oracle_normal(o, 5, 3);
    for (int form = MATMUL_NT; form <= MATMUL_TN; form++) {
        /* [5, 7] with [5, 3]: of the forms only TN fits these; the others meet a product's shape.
         */
        struct tensor b = form == MATMUL_NT ? oracle_normal(o, 4, 7) : oracle_normal(o, 7, 4);
        struct tensor fresh = oracle_zero(o, form == MATMUL_TN ? 7 : 5, form == MATMUL_TN ? 3 : 4);
        struct tensor old = oracle_normal(o, fresh.rows, fresh.cols);
        struct tensor sum = oracle_zero(o, fresh.rows, fresh.cols);
        struct op_matmul op = {
            .form = (enum matmul_form)form, .c = fresh, .a = c.x, .b = form == MATMUL_TN ? c.w : b};
        ops_matmul(&o->stream, &op);
        ops_add(&o->stream, &(struct op_add){.y = sum, .a = fresh, .b = old});
        op.c = old;
        op.accumulate = true;
        ops_matmul(&o->stream, &op);
        check_close("c", old, sum, 1e-13);
    }
    oracle_close(o);
}

static double grouped_loss(void *arg) {
    struct context *c = arg;
    ops_matmul_grouped(&c->oracle.stream, &(struct op_matmul_grouped){.form = MATMUL_NT,
                                                                      .c = c->y,
                                                                      .a = c->x,
                                                                      .b = c->w,
                                                                      .offsets = c->offsets,
                                                                      .gather_a = c->gather,
                                                                      .experts = c->experts,
                                                                      .rows = c->y.rows});
    return tensor_dot(c->y, c->g);
}

/* Three experts, the second without rows; rows gathered from four tokens. */
static void grouped_gradients_match_differences(void) {
    static const int32_t offsets[] = {0, 4, 4, 7}, gather[] = {0, 2, 3, 1, 1, 3, 0};
    struct context c = {.offsets = offsets, .gather = gather, .experts = 3};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.x = oracle_normal(o, 4, 5);
    c.w = oracle_normal(o, 3 * 2, 5);
    c.y = oracle_zero(o, 7, 2);
    c.g = oracle_normal(o, 7, 2);
    struct tensor drows = oracle_zero(o, 7, 5), dx = oracle_zero(o, 4, 5);
    struct tensor dw = oracle_zero(o, 6, 5);
    ops_matmul_grouped(&o->stream, &(struct op_matmul_grouped){.form = MATMUL_NN,
                                                               .c = drows,
                                                               .a = c.g,
                                                               .b = c.w,
                                                               .offsets = offsets,
                                                               .experts = 3,
                                                               .rows = 7});
    for (int64_t r = 0; r < 7; r++)
        for (int64_t i = 0; i < 5; i++) at(dx, gather[r])[i] += at(drows, r)[i];
    ops_matmul_grouped(&o->stream, &(struct op_matmul_grouped){.form = MATMUL_TN,
                                                               .c = dw,
                                                               .a = c.g,
                                                               .b = c.x,
                                                               .offsets = offsets,
                                                               .gather_b = gather,
                                                               .experts = 3,
                                                               .rows = 7,
                                                               .accumulate = true});
    check_gradient("dx", c.x, dx, grouped_loss, &c);
    check_gradient("dw", c.w, dw, grouped_loss, &c);
    oracle_close(o);
}

/* ---- RMSNorm ---- */

static double rmsnorm_loss(void *arg) {
    struct context *c = arg;
    ops_rmsnorm_fwd(
        &c->oracle.stream,
        &(struct op_rmsnorm_fwd){.y = c->y, .x = c->x, .w = c->w, .rstd = c->rstd, .eps = 1e-2});
    return tensor_dot(c->y, c->g);
}

static void rmsnorm_gradients_match_differences(void) {
    struct context c = {0};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.x = oracle_normal(o, 4, 9);
    c.w = oracle_normal(o, 1, 9);
    c.g = oracle_normal(o, 4, 9);
    c.y = oracle_zero(o, 4, 9);
    c.rstd = oracle_zero(o, 4, 1);
    rmsnorm_loss(&c);
    struct tensor dx = oracle_zero(o, 4, 9), dw = oracle_zero(o, 1, 9);
    struct op_rmsnorm_bwd op = {.dx = dx, .dw = dw, .dy = c.g, .x = c.x, .w = c.w, .rstd = c.rstd};
    ops_rmsnorm_bwd(&o->stream, &op);
    check_gradient("dx", c.x, dx, rmsnorm_loss, &c);
    check_gradient("dw", c.w, dw, rmsnorm_loss, &c);

    /* With a residual's gradient, in place of it. */
    struct tensor add = oracle_normal(o, 4, 9), expected = oracle_zero(o, 4, 9);
    ops_add(&o->stream, &(struct op_add){.y = expected, .a = add, .b = dx});
    op.dx = op.add = add;
    ops_rmsnorm_bwd(&o->stream, &op);
    check_close("dx + add", add, expected, 1e-13);
    oracle_close(o);
}

/* ---- RoPE ---- */

static void rotate(struct context *c, struct tensor x, bool is_inverse) {
    ops_rope(&c->oracle.stream, &(struct op_rope){.x = x,
                                                  .cos = c->cos,
                                                  .sin = c->sin,
                                                  .heads = 2,
                                                  .head_stride = 7,
                                                  .layout = c->layout,
                                                  .is_inverse = is_inverse});
}

static double rope_loss(void *arg) {
    struct context *c = arg;
    ops_add(&c->oracle.stream, &(struct op_add){.y = c->y, .a = c->x, .b = c->u});
    rotate(c, c->y, false);
    return tensor_dot(c->y, c->g);
}

/* Two heads of four columns, seven apart. */
static void rope_gradients_match_differences(void) {
    static const int32_t positions[] = {0, 3, 100};
    static const double frequency[] = {1, 0.37};
    for (int layout = ROPE_INTERLEAVED; layout <= ROPE_HALF; layout++) {
        struct context c = {.layout = (enum rope_layout)layout};
        struct oracle *o = &c.oracle;
        oracle_open(o);
        c.x = oracle_normal(o, 3, 11);
        c.u = oracle_zero(o, 3, 11);
        c.y = oracle_zero(o, 3, 11);
        c.g = oracle_normal(o, 3, 11);
        c.cos = oracle_zero(o, 3, 2);
        c.sin = oracle_zero(o, 3, 2);
        ops_rope_table(&o->stream, &(struct op_rope_table){.cos = c.cos,
                                                           .sin = c.sin,
                                                           .positions = positions,
                                                           .frequency = frequency,
                                                           .factor = 1.5});
        CHECK_NEAR(at(c.cos, 2)[1], 1.5 * cos(37), 1e-12);
        CHECK_NEAR(at(c.sin, 1)[0], 1.5 * sin(3), 1e-12);
        struct tensor dx = oracle_zero(o, 3, 11);
        ops_add(&o->stream, &(struct op_add){.y = dx, .a = c.g, .b = c.u});
        rotate(&c, dx, true);
        check_gradient("dx", c.x, dx, rope_loss, &c);
        oracle_close(o);
    }
}

/* Adjacent pairs turn in MLA, halves elsewhere (facts 1.6): pair 1 at an angle of 90 degrees. */
static void rope_layouts_pair_the_right_columns(void) {
    struct context c = {0};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.cos = oracle_zero(o, 1, 2);
    c.sin = oracle_zero(o, 1, 2);
    at(c.cos, 0)[0] = 1;
    at(c.sin, 0)[1] = 1;
    for (int layout = ROPE_INTERLEAVED; layout <= ROPE_HALF; layout++) {
        struct tensor x = oracle_zero(o, 1, 4);
        for (int i = 0; i < 4; i++) at(x, 0)[i] = i + 1;
        ops_rope(&o->stream, &(struct op_rope){.x = x,
                                               .cos = c.cos,
                                               .sin = c.sin,
                                               .heads = 1,
                                               .layout = (enum rope_layout)layout});
        static const double expected[2][4] = {{1, 2, -4, 3}, {1, -4, 3, 2}};
        for (int i = 0; i < 4; i++) CHECK_NEAR(at(x, 0)[i], expected[layout][i], 0);
    }
    oracle_close(o);
}

/* ---- SwiGLU ---- */

/* w [slots, 1] is the row weight of slot gather[r]; absent: 1. */
static double swiglu_loss(void *arg) {
    struct context *c = arg;
    ops_swiglu_fwd(&c->oracle.stream, &(struct op_swiglu_fwd){.y = c->y, .g = c->x, .u = c->u});
    double loss = 0;
    for (int64_t r = 0; r < c->y.rows; r++) {
        const double w = tensor_is_absent(c->w) ? 1 : at(c->w, c->gather ? c->gather[r] : r)[0];
        loss += w * tensor_dot(tensor_rows(c->y, r, 1), tensor_rows(c->g, r, 1));
    }
    return loss;
}

static void check_swiglu(bool is_weighted, const int32_t *slot) {
    struct context c = {.gather = slot};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    struct tensor gu = oracle_normal(o, 4, 12), dgu = oracle_zero(o, 4, 12);
    c.x = tensor_cols(gu, 0, 6);
    c.u = tensor_cols(gu, 6, 6);
    c.y = oracle_zero(o, 4, 6);
    c.g = oracle_normal(o, 4, 6);
    struct tensor dw = {0}, wy = oracle_zero(o, 4, 6);
    if (is_weighted) {
        c.w = oracle_normal(o, 4, 1);
        dw = oracle_zero(o, 4, 1);
    }
    ops_swiglu_bwd(&o->stream, &(struct op_swiglu_bwd){.dg = tensor_cols(dgu, 0, 6),
                                                       .du = tensor_cols(dgu, 6, 6),
                                                       .wy = wy,
                                                       .dz = c.g,
                                                       .g = c.x,
                                                       .u = c.u,
                                                       .weight = c.w,
                                                       .dweight = dw,
                                                       .slot = slot});
    check_gradient("dgu", gu, dgu, swiglu_loss, &c);
    CHECK_NEAR(tensor_dot(wy, c.g), swiglu_loss(&c), 1e-12);
    if (is_weighted) check_gradient("dweight", c.w, dw, swiglu_loss, &c);
    oracle_close(o);
}

static void swiglu_gradients_match_differences(void) { check_swiglu(false, NULL); }
static void weighted_swiglu_gradients_match_differences(void) { check_swiglu(true, NULL); }
static void slotted_swiglu_gradients_match_differences(void) {
    static const int32_t slot[] = {2, 0, 3, 1};
    check_swiglu(true, slot);
}

/* ---- softmax, embedding ---- */

static double softmax_loss(void *arg) {
    struct context *c = arg;
    ops_softmax_fwd(&c->oracle.stream,
                    &(struct op_softmax_fwd){.y = c->y, .x = c->x, .scale = c->scale});
    return tensor_dot(c->y, c->g);
}

static void softmax_gradient_matches_differences(void) {
    struct context c = {.scale = 0.7};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.x = oracle_normal(o, 3, 6);
    c.y = oracle_zero(o, 3, 6);
    c.g = oracle_normal(o, 3, 6);
    softmax_loss(&c);
    CHECK_NEAR(at(c.y, 1)[0] + at(c.y, 1)[1] + at(c.y, 1)[2] + at(c.y, 1)[3] + at(c.y, 1)[4] +
                   at(c.y, 1)[5],
               1, 1e-12);
    struct tensor dx = oracle_zero(o, 3, 6);
    ops_softmax_bwd(&o->stream,
                    &(struct op_softmax_bwd){.dx = dx, .dy = c.g, .y = c.y, .scale = c.scale});
    check_gradient("dx", c.x, dx, softmax_loss, &c);
    oracle_close(o);
}

static double embedding_loss(void *arg) {
    struct context *c = arg;
    ops_embedding_fwd(&c->oracle.stream,
                      &(struct op_embedding_fwd){.y = c->y, .w = c->w, .tokens = c->gather});
    return tensor_dot(c->y, c->g);
}

static void embedding_gradient_matches_differences(void) {
    static const int32_t tokens[] = {3, 0, 3, 1, 3};
    struct context c = {.gather = tokens};
    struct oracle *o = &c.oracle;
    oracle_open(o);
    c.w = oracle_normal(o, 4, 3);
    c.y = oracle_zero(o, 5, 3);
    c.g = oracle_normal(o, 5, 3);
    struct tensor dw = oracle_zero(o, 4, 3);
    ops_embedding_bwd(&o->stream,
                      &(struct op_embedding_bwd){.dw = dw, .dy = c.g, .tokens = tokens});
    check_gradient("dw", c.w, dw, embedding_loss, &c);
    oracle_close(o);
}

static const struct test tests[] = {
    TEST(linear_gradients_match_differences),
    TEST(accumulating_product_adds_to_what_is_there),
    TEST(grouped_gradients_match_differences),
    TEST(rmsnorm_gradients_match_differences),
    TEST(rope_gradients_match_differences),
    TEST(rope_layouts_pair_the_right_columns),
    TEST(swiglu_gradients_match_differences),
    TEST(weighted_swiglu_gradients_match_differences),
    TEST(slotted_swiglu_gradients_match_differences),
    TEST(softmax_gradient_matches_differences),
    TEST(embedding_gradient_matches_differences),
};
HARNESS_MAIN(tests)
